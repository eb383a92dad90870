import { denoCommand } from "../../testing/deno_process.ts";
import { stop, unlessStopped } from "../stop.ts";
import type { Sample } from "./figures.ts";
import type { Section } from "./section.ts";
import { tableOf } from "./table.ts";

/** As many ids an iteration of `peers_bench.ts` takes, and `fill()` and `nextRange()` of `simple_bench.ts`. */
const BATCH = 1000;

const SIMPLE = "simple_bench.ts";
const PEERS = "peers_bench.ts";
const PLAIN = `${PEERS}: global-id, plain: `;

/** The cost of an id where it is made. */
export const IN_PROCESS: Section = {
  name: "in_process",
  title: "In process: what an id costs",
  about:
    "Of `deno bench bench/simple_bench.ts` and `deno bench bench/peers_bench.ts`: the time that three quarters of " +
    "the iterations took at most, since other work on the machine distorts averages. The floor is the least that " +
    "a generator does that reads the clock and returns a bigint. Each generator of npm stands beside the basis of " +
    "its ids' uniqueness.",

  subjects(isQuick) {
    return (isQuick ? [SIMPLE] : [SIMPLE, PEERS]).map((file) => ({
      name: file,
      measure: () => runBench(file),
    }));
  },

  show(figures) {
    const [simple, peers] = [SIMPLE, PEERS].map((file) => figures.rowsOf(file));
    const plain = peers.find((row) => row.startsWith(PLAIN)) ?? "";
    return {
      tables: [
        tableOf(simple, {
          "one process": nameOf,
          "ns a call": (row) => figures.text(row, "nsPerCall"),
          "ns an id": (row) => figures.text(row, "nsPerId"),
        }),
        tableOf(peers, {
          "generator": (row) => nameAndGuarantee(row)[0],
          "uniqueness rests on": (row) => nameAndGuarantee(row)[1],
          "ns an id": (row) => figures.text(row, "nsPerId"),
          "/ global-id, plain": (row) => figures.ratio("nsPerId", row, plain),
        }, 2),
      ],
      panels: [
        figures.panel("An id, in ns", peers, { "ns an id": "nsPerId" }, {
          label: (row) => nameAndGuarantee(row)[0],
          isLogarithmic: true,
        }),
        figures.panel("A call of global-id, in ns", simple, { "ns a call": "nsPerCall" }, {
          label: nameOf,
          isLogarithmic: true,
        }),
      ],
    };
  },
};

/** The part of the output of `deno bench --json` that matters here; times are in ns. */
interface BenchReport {
  benches: { name: string; results: ({ ok: { p75: number } } | { failed: unknown })[] }[];
}

async function runBench(file: string): Promise<Record<string, Sample>> {
  const bench = denoCommand({
    deno: ["bench", "--json", "--config", "bench/deno.json", "-P"],
    program: `bench/${file}`,
    stdin: "null",
    signal: stop,
  });
  const { success, stdout, stderr } = await unlessStopped(bench.output());
  if (!success) throw new Error(`${file} has failed: ${new TextDecoder().decode(stderr)}`);
  const { benches } = JSON.parse(new TextDecoder().decode(stdout)) as BenchReport;
  return Object.fromEntries(benches.map(({ name, results: [result] }) => {
    if (!("ok" in result)) throw new Error(`${file} has failed: ${name}`);
    return [`${file}: ${name}`, sampleOf(file, name, result.ok.p75)];
  }));
}

function sampleOf(file: string, name: string, nsPerCall: number): Sample {
  if (file === PEERS) return { nsPerId: nsPerCall / BATCH };
  if (/1000/.test(name)) return { nsPerCall, nsPerId: nsPerCall / BATCH };
  return { nsPerCall };
}

/** A row's name without the file. */
function nameOf(row: string): string {
  return row.slice(row.indexOf(": ") + 2);
}

function nameAndGuarantee(row: string): [name: string, guarantee: string] {
  const name = nameOf(row);
  // The floor is no generator, and has a colon of its own.
  const end = name.startsWith("floor: ") ? -1 : name.indexOf(": ");
  return end < 0 ? [name, ""] : [name.slice(0, end), name.slice(end + 2)];
}
