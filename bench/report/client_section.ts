import { TempDir } from "../../testing/temp_dir.ts";
import type { Sample } from "./figures.ts";
import { formatRatio, formatSummary } from "./format.ts";
import type { Lab } from "./lab.ts";
import { runLoads } from "./run_loads.ts";
import type { Section, Subject } from "./section.ts";
import type { Target } from "./target.ts";
import { unlessStopped } from "./unless_stopped.ts";

const IN_FLIGHT = 64;
/** The load generator in C, by how it sends requests that go out together. */
const IN_C = {
  segments: `load generator in C, ${IN_FLIGHT} requests of 1 id at once, as segments`,
  datagrams: `load generator in C, ${IN_FLIGHT} requests of 1 id at once, as datagrams`,
};

/** How an `IdClient` is used. */
interface Use {
  row: string;
  /** Ids a request. */
  prefetch: number;
  /** Calls under way at once. */
  callers: number;
}

const SINGLE: Use = { row: `IdClient, ${IN_FLIGHT} calls of nextId() at once`, prefetch: 1, callers: IN_FLIGHT };
const PREFETCHING: Use = { row: "IdClient, nextId() in sequence, 1000 prefetched", prefetch: 1000, callers: 1 };

/** What one process of TypeScript can get. */
export const CLIENT: Section = {
  name: "client",
  title: "The client",
  about:
    "One process, one socket, the range protocol; a server with one worker, on the other CPU. `IdClient` gives every " +
    "id as a bigint through a promise of its own; the load generator in C only counts them. Segments: requests that go out " +
    "together are one message, as `IdClient` sends them.",

  subjects() {
    return [clientSubject(SINGLE), clientSubject(PREFETCHING), cSubject("segments"), cSubject("datagrams")];
  },

  show(figures) {
    const rows = [SINGLE.row, IN_C.segments, IN_C.datagrams, PREFETCHING.row];
    return {
      tables: [{
        columns: ["", "ids/s", "/ C, segments"],
        rows: rows.map((row) => [
          row,
          formatSummary(figures.of(row, "idsPerSecond")),
          formatRatio(figures.median(row, "idsPerSecond"), figures.median(IN_C.segments, "idsPerSecond")),
        ]),
      }],
      panels: [{
        title: "Ids a second",
        isLogarithmic: true,
        categories: rows,
        series: [{ name: "ids/s", values: rows.map((row) => figures.median(row, "idsPerSecond")) }],
      }],
    };
  },
};

function cSubject(send: keyof typeof IN_C): Subject {
  const row = IN_C[send];
  return {
    name: row,
    async measure(lab) {
      const shape = { cpu: lab.cpu(1), protocol: "range" as const, inFlight: IN_FLIGHT, send };
      return { [row]: (await runLoads(lab, await serverOf(lab), [shape])).sample };
    },
  };
}

function clientSubject(use: Use): Subject {
  return {
    name: use.row,
    async measure(lab) {
      return { [use.row]: await runClient(lab, await serverOf(lab), use) };
    },
  };
}

function serverOf(lab: Lab): Promise<Target> {
  return lab.own({ layout: "dense", workers: 1 });
}

async function runClient(lab: Lab, { ports, own }: Target, { prefetch, callers }: Use): Promise<Sample> {
  const { seconds, signal } = lab.options;
  const { ledger } = own!;
  await using directory = await TempDir.make();
  const path = `${directory.path}/ids`;
  const program = new URL("./client_process.ts", import.meta.url).pathname;
  const deno = [
    Deno.execPath(),
    "run",
    "--quiet",
    "--unstable-net",
    "--allow-net",
    "--allow-ffi",
    `--allow-write=${path}`,
  ];
  const numbers = [ports[0], prefetch, callers, seconds, ledger.step].map(String);
  const { success, stdout } = await unlessStopped(
    new Deno.Command("taskset", {
      args: ["--cpu-list", String(lab.cpu(1)), ...deno, program, ...numbers, path],
      stdin: "null",
      stderr: "inherit",
      signal,
    }).output(),
    signal,
  );
  if (!success) throw new Error("the client has failed");
  ledger.addRanges(new BigUint64Array((await Deno.readFile(path)).buffer));
  return JSON.parse(new TextDecoder().decode(stdout));
}
