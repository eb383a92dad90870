import { denoCommand } from "../../testing/deno_process.ts";
import { TempDir } from "../../testing/temp_dir.ts";
import { stop, unlessStopped } from "../stop.ts";
import type { Sample } from "./figures.ts";
import type { Lab } from "./lab.ts";
import { runLoads } from "./run_loads.ts";
import { type Section, subject } from "./section.ts";
import { tableOf } from "./table.ts";
import type { OwnTarget } from "./target.ts";

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
const ROWS = [SINGLE.row, IN_C.segments, IN_C.datagrams, PREFETCHING.row];

/** How many ids one process of TypeScript can get. */
export const CLIENT: Section = {
  name: "client",
  title: "The client",
  about: "One process, one socket, the range protocol; a server with one worker, on the other CPU. `IdClient` gives " +
    "every id as a bigint through a promise of its own; the load generator in C only counts them. Segments: " +
    "requests that go out together are one message, as `IdClient` sends them.",

  subjects: () => [
    ...[SINGLE, PREFETCHING].map((use) =>
      subject(use.row, async (lab) => await runClient(lab, await serverOf(lab), use))
    ),
    ...(["segments", "datagrams"] as const).map((send) =>
      subject(IN_C[send], async (lab) => {
        const shape = { cpu: lab.cpu(1), protocol: "range" as const, inFlight: IN_FLIGHT, send };
        return (await runLoads(lab, await serverOf(lab), [shape])).sample;
      })
    ),
  ],

  show: (figures) => ({
    tables: [tableOf(ROWS, {
      "": (row) => row,
      "ids/s": (row) => figures.text(row, "idsPerSecond"),
      "/ C, segments": (row) => figures.ratio("idsPerSecond", row, IN_C.segments),
    })],
    panels: [figures.panel("Ids a second", ROWS, { "ids/s": "idsPerSecond" }, { isLogarithmic: true })],
  }),
};

function serverOf(lab: Lab): Promise<OwnTarget> {
  return lab.own({ layout: "dense", workers: 1 });
}

async function runClient(lab: Lab, { port, own: { ledger } }: OwnTarget, { prefetch, callers }: Use): Promise<Sample> {
  const { seconds } = lab.options;
  await using directory = await TempDir.make();
  const path = `${directory.path}/ids`;
  const client = denoCommand({
    deno: ["run", "--quiet", "--unstable-net", "--allow-net", "--allow-ffi", `--allow-write=${path}`],
    program: "bench/report/client_process.ts",
    args: [...[port, prefetch, callers, seconds, ledger.step].map(String), path],
    cpu: lab.cpu(1),
    stdin: "null",
    stderr: "inherit",
    signal: stop,
  });
  const { success, stdout } = await unlessStopped(client.output());
  if (!success) throw new Error("the client has failed");
  ledger.addRanges(new BigUint64Array((await Deno.readFile(path)).buffer));
  return JSON.parse(new TextDecoder().decode(stdout));
}
