import type { Alternative } from "../alternatives/alternative.ts";
import { HTTP } from "../alternatives/http.ts";
import { POSTGRES } from "../alternatives/postgres.ts";
import { REDIS } from "../alternatives/redis.ts";
import { stop } from "../stop.ts";
import type { Sample } from "./figures.ts";
import type { Lab } from "./lab.ts";
import { type LoadShape, PLACEMENT_SECONDS, runLoads } from "./run_loads.ts";
import { LeftOutError } from "./lab.ts";
import { type Section, subject } from "./section.ts";
import { tableOf } from "./table.ts";
import type { OwnOptions } from "./target.ts";

/** The alternatives, in the order of the rows. */
const OTHERS: readonly Alternative[] = [REDIS, POSTGRES, HTTP];

/** How many ways to ask a server are enough if a few figures will do. */
const QUICK_WAYS = 1;

/** A way to ask this project's server. */
interface OwnWay {
  row: string;
  layout: OwnOptions["layout"];
  /** One of them for each load process. */
  shapes: LoadShape[];
}

const OWN_WAYS: OwnWay[] = [
  { row: "global-id, 64 sockets, 64 in flight", layout: "wide", shapes: [{ sockets: 64, inFlight: 1 }] },
  {
    row: "global-id, 64 sockets of 2 load processes, 64 in flight",
    layout: "wide",
    shapes: [{ sockets: 32, inFlight: 1 }, { sockets: 32, inFlight: 1 }],
  },
  { row: "global-id, 1 socket, 64 in flight", layout: "wide", shapes: [{ sockets: 1, inFlight: 64 }] },
  {
    row: "global-id, 1 socket, 64 in flight as segments",
    layout: "dense",
    shapes: [{ sockets: 1, inFlight: 64, send: "segments" }],
  },
  {
    row: "global-id, 64 sockets, 4096 in flight as segments",
    layout: "dense",
    shapes: [{ sockets: 64, inFlight: 64, send: "segments" }],
  },
  {
    row: "global-id, ranges of 1000, 64 in flight",
    layout: "dense",
    shapes: [{ sockets: 1, inFlight: 64, protocol: "range", count: 1000 }],
  },
];
const OWN_KEEPS = "reserved seconds, in SQLite: none is repeated";

/** The data that each row's server keeps when it crashes. A measurement adds the rows of its alternative. */
const keeps = new Map<string, string>(OWN_WAYS.map(({ row }) => [row, OWN_KEEPS]));

/** Other services that ids could come from. */
export const ALTERNATIVES: Section = {
  name: "alternatives",
  title: "Alternatives: Redis, PostgreSQL, HTTP",
  about: "Each server with a load generator in C on the same machine; nothing is pinned but our workers, which pin " +
    "themselves. Ours and redis-benchmark are one thread, except where it says otherwise; pgbench and wrk have " +
    "one for each CPU. As our server answers on the CPU where a request arrives, one load process and it share " +
    "that CPU. With the layouts `wide` and `dense`, requests are refused once a second's 1,048,576 or 67,108,864 " +
    "ids are gone: requests count refusals, ids do not. Segments: requests that go out together are one message, " +
    "as `IdClient` sends them, like a pipeline of Redis.",

  subjects: (isQuick) => [
    ...(isQuick ? OWN_WAYS.slice(0, QUICK_WAYS) : OWN_WAYS).map(({ row, layout, shapes }) =>
      subject(row, async (lab) => {
        const times = { warmUpSeconds: PLACEMENT_SECONDS };
        return (await runLoads(lab, await lab.own({ layout }), shapes, times)).sample;
      })
    ),
    ...OTHERS.map((alternative) => ({
      name: alternative.name,
      measure: (lab: Lab) => measureWays(alternative, lab, isQuick ? QUICK_WAYS : Infinity),
    })),
  ],

  show(figures) {
    const rows = [...OWN_WAYS.map(({ row }) => row), ...OTHERS.flatMap(({ name }) => figures.rowsOf(name))];
    const [single] = OWN_WAYS;
    return {
      tables: [tableOf(rows, {
        "": (row) => row,
        "keeps when it crashes": (row) => keeps.get(row),
        "requests/s": (row) => figures.text(row, "repliesPerSecond"),
        "ours, 64 sockets / this": (row) => figures.ratio("repliesPerSecond", single.row, row),
        "ids/s": (row) => figures.text(row, "idsPerSecond"),
        "p50 us": (row) => figures.text(row, "p50Us"),
        "p99 us": (row) => figures.text(row, "p99Us"),
      }, 2)],
      panels: [
        figures.panel("Requests a second", rows, { "a second": "repliesPerSecond" }),
        figures.panel("Ids a second", rows, { "a second": "idsPerSecond" }, { isLogarithmic: true }),
      ],
    };
  },
};

async function measureWays(alternative: Alternative, lab: Lab, maxWays: number): Promise<Record<string, Sample>> {
  const missing = await alternative.missing();
  if (missing !== undefined) throw new LeftOutError(missing);
  const samples: Record<string, Sample> = {};
  try {
    for await (const result of alternative.measure(lab.options.seconds)) {
      const { name, keeps: kept, ...sample } = result;
      keeps.set(name, kept);
      samples[name] = sample;
      if (Object.keys(samples).length === maxWays) break;
    }
  } catch (error) {
    // A server of somebody else that does not work here must not cost all other figures.
    throw stop.aborted ? error : new LeftOutError((error as Error).message);
  }
  return samples;
}
