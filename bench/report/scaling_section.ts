import type { Figures } from "./figures.ts";
import { formatSummary } from "./format.ts";
import { loadShapes } from "./load_shape.ts";
import { repliesRow, repliesSubject } from "./replies_section.ts";
import { runLoads } from "./run_loads.ts";
import type { Section, Subject } from "./section.ts";

const WORKERS = [1, 2];
const IN_FLIGHT = [1, 16, 64, 256];
const COUNTS = [1, 10, 100, 1000];
const RANGES_IN_FLIGHT = 64;

/** Something that grows, and how to measure it. */
interface Dimension {
  name: string;
  values: number[];
  row(workers: number, value: number): string;
}

const DIMENSIONS: Dimension[] = [
  {
    name: "requests in flight",
    values: IN_FLIGHT,
    row: (workers, inFlight) => repliesRow("global-id", workers, inFlight),
  },
  { name: "ids a request", values: COUNTS, row: rangesRow },
];

/** What more requests at once, more ids at once and more workers change. */
export const SCALING: Section = {
  name: "scaling",
  title: "Scaling: requests in flight, ids a request, workers",
  about:
    "Our server only. Requests in flight: the figures of `replies`, with at least one for each worker. Ids a request: ranges, layout `dense`, 64 in flight; " +
    "with 1000, requests are refused once a second's 67,108,864 ids are gone. The cost is CPU time of the workers, the " +
    "kernel's on their behalf included, on loopback also that of delivering the reply.",

  subjects(isQuick) {
    const [all, inFlights, counts] = isQuick ? [[2], [64], [1000]] : [WORKERS, IN_FLIGHT, COUNTS];
    return all.flatMap((workers) => [
      ...inFlights.map((inFlight) => repliesSubject("global-id", workers, inFlight)),
      ...counts.map((count) => rangesSubject(workers, count)),
    ]);
  },

  show(figures) {
    return {
      tables: DIMENSIONS.map((dimension) => ({
        columns: [
          dimension.name,
          ...WORKERS.flatMap((count) => [
            `replies/s, workers: ${count}`,
            `ids/s, workers: ${count}`,
            `us of CPU a reply, workers: ${count}`,
          ]),
        ],
        rows: dimension.values.map((value) => [
          String(value),
          ...WORKERS.flatMap((workers) =>
            ["repliesPerSecond", "idsPerSecond", "workerUsPerReply"].map((name) =>
              formatSummary(figures.of(dimension.row(workers, value), name))
            )
          ),
        ]),
      })),
      panels: DIMENSIONS.flatMap((dimension) => [
        panelOf(figures, dimension, "Replies a second", "repliesPerSecond"),
        panelOf(figures, dimension, "CPU time of a worker for a reply, in us", "workerUsPerReply"),
      ]),
    };
  },
};

function panelOf(figures: Figures, { name, values, row }: Dimension, title: string, figure: string) {
  return {
    title: `${title}, by ${name}`,
    kind: "lines" as const,
    axis: name,
    categories: values.map(String),
    series: WORKERS.map((workers) => ({
      name: workers === 1 ? "1 worker" : `${workers} workers`,
      values: values.map((value) => figures.median(row(workers, value), figure)),
    })),
  };
}

function rangesSubject(workers: number, count: number): Subject {
  const row = rangesRow(workers, count);
  return {
    name: row,
    async measure(lab) {
      const shapes = loadShapes(lab, workers, RANGES_IN_FLIGHT);
      const ranges = shapes.map((shape) => ({ ...shape, protocol: "range" as const, count }));
      return { [row]: (await runLoads(lab, await lab.own({ layout: "dense", workers }), ranges)).sample };
    },
  };
}

function rangesRow(workers: number, count: number): string {
  return `global-id, workers: ${workers}, ids a request: ${count}`;
}
