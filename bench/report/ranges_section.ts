import { type LayoutName, LAYOUTS } from "../../lib/id/presets.ts";
import { formatNumber, formatRatio, formatShare } from "./format.ts";
import { runLoads } from "./run_loads.ts";
import { type Section, subject } from "./section.ts";
import { tableOf } from "./table.ts";

/** Requests at a rate. */
interface Demand {
  layout: LayoutName;
  /** Requests a second. */
  rate: number;
  /** Ids a request. */
  count: number;
}

/** All that the layouts have is asked for, and 50 million of the layout that has more. */
const DEMANDS: Demand[] = [
  { layout: "default", rate: 200, count: 1000 },
  { layout: "wide", rate: 200, count: 10_000 },
  { layout: "dense", rate: 500, count: 100_000 },
  { layout: "dense", rate: 200, count: 350_000 },
];

/** Many ids a datagram. */
export const RANGES: Section = {
  name: "ranges",
  title: "Ranges: many ids a request",
  about: "The range protocol: a datagram asks for up to 2^32 - 1 ids. Requests come evenly spaced, from one socket, " +
    "and a worker serves on each CPU. The possible ids of a second are those of the layout or those asked for, " +
    "whichever are fewer. CPU time: 100 % is one CPU.",

  subjects: (isQuick) =>
    (isQuick ? DEMANDS.slice(0, 3) : DEMANDS).map((demand) =>
      subject(rowOf(demand), async (lab) => {
        const { layout, rate, count } = demand;
        const shape = { cpu: lab.cpu(1), protocol: "range" as const, inFlight: 64, rate, count };
        const { sample } = await runLoads(lab, await lab.own({ layout }), [shape]);
        return { possiblePerSecond: possiblePerSecond(demand), ...sample };
      })
    ),

  show(figures) {
    const median = (demand: Demand, name: string) => figures.median(rowOf(demand), name);
    return {
      tables: [tableOf(DEMANDS, {
        "": rowOf,
        "ids/s": (demand) => figures.text(rowOf(demand), "idsPerSecond"),
        "possible": (demand) => figures.text(rowOf(demand), "possiblePerSecond"),
        "ids / possible": (demand) => formatRatio(median(demand, "idsPerSecond"), possiblePerSecond(demand)),
        "requests/s": (demand) => figures.text(rowOf(demand), "repliesPerSecond"),
        "CPU, workers": (demand) => formatShare(median(demand, "workerCpuShare")),
        "CPU, supervisor": (demand) => formatShare(median(demand, "supervisorCpuShare")),
      })],
      panels: [
        figures.panel("Ids a second", DEMANDS.map(rowOf), { "global-id": "idsPerSecond" }, { isLogarithmic: true }),
      ],
    };
  },
};

function rowOf({ layout, rate, count }: Demand): string {
  return `layout ${layout}, ${rate} requests/s of ${formatNumber(count)} ids`;
}

function possiblePerSecond({ layout, rate, count }: Demand): number {
  const { maxSequence, tickMs } = LAYOUTS[layout];
  return Math.min((maxSequence + 1) * 1000 / tickMs, rate * count);
}
