import type { Alternative } from "../alternatives/alternative.ts";
import { HTTP } from "../alternatives/http.ts";
import { POSTGRES } from "../alternatives/postgres.ts";
import { REDIS } from "../alternatives/redis.ts";
import type { Figures, Sample } from "./figures.ts";
import { formatRatio, formatSummary } from "./format.ts";
import type { Lab } from "./lab.ts";
import { LeftOutError } from "./left_out_error.ts";
import type { LoadShape } from "./load_shape.ts";
import { PLACEMENT_SECONDS, runLoads } from "./run_loads.ts";
import type { Section, Subject } from "./section.ts";
import type { OwnOptions } from "./target.ts";

/** What else a user could take, in the order of the rows. */
const ALTERNATIVES: readonly Alternative[] = [REDIS, POSTGRES, HTTP];

/** How many ways to ask a server are enough if a few figures will do. */
const QUICK_WAYS = 1;

/** A way to ask this project's server. */
interface OwnWay {
  row: string;
  layout: OwnOptions["layout"];
  /** What each load process does. */
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

/** What each of the alternatives keeps when it crashes, by row: they say so when they are measured. */
const keeps = new Map<string, string>(OWN_WAYS.map(({ row }) => [row, OWN_KEEPS]));

/** What else one could take ids from. */
export const ALTERNATIVES_SECTION: Section = {
  name: "alternatives",
  title: "Alternatives: Redis, PostgreSQL, HTTP",
  about:
    "Each server with a load generator in C on the same machine; nothing is pinned but our workers, which pin themselves. " +
    "Ours and redis-benchmark are one thread, except where it says otherwise; pgbench and wrk have one for each CPU. As our " +
    "server answers on the CPU where a request arrives, one load process and it share that CPU. With the layouts `wide` and " +
    "`dense`, requests are refused once a second's 1,048,576 or 67,108,864 ids are gone: requests count refusals, ids do not. " +
    "Segments: requests that go out together are one message, as `IdClient` sends them; it is to datagrams what a pipeline is " +
    "to Redis.",

  subjects(isQuick) {
    const ownWays = isQuick ? OWN_WAYS.slice(0, QUICK_WAYS) : OWN_WAYS;
    return [...ownWays.map(ownSubject), ...ALTERNATIVES.map((alternative) => subjectOf(alternative, isQuick))];
  },

  show(figures) {
    const rows = rowsOf(figures);
    const [single] = OWN_WAYS;
    const panel = (title: string, name: string, isLogarithmic: boolean) => ({
      title,
      isLogarithmic,
      categories: rows,
      series: [{ name: "a second", values: rows.map((row) => figures.median(row, name)) }],
    });
    return {
      tables: [{
        columns: ["", "keeps when it crashes", "requests/s", "ours, 64 sockets / this", "ids/s", "p50 us", "p99 us"],
        texts: 2,
        rows: rows.map((row) => [
          row,
          figures.of(row, "p50Us") && keeps.get(row),
          formatSummary(figures.of(row, "repliesPerSecond")),
          formatRatio(figures.median(single.row, "repliesPerSecond"), figures.median(row, "repliesPerSecond")),
          formatSummary(figures.of(row, "idsPerSecond")),
          formatSummary(figures.of(row, "p50Us")),
          formatSummary(figures.of(row, "p99Us")),
        ]),
      }],
      panels: [panel("Requests a second", "repliesPerSecond", false), panel("Ids a second", "idsPerSecond", true)],
    };
  },
};

function rowsOf(figures: Figures): string[] {
  return [...OWN_WAYS.map(({ row }) => row), ...ALTERNATIVES.flatMap(({ name }) => figures.rowsOf(name))];
}

function ownSubject({ row, layout, shapes }: OwnWay): Subject {
  return {
    name: row,
    async measure(lab) {
      const times = { warmUpSeconds: PLACEMENT_SECONDS };
      return { [row]: (await runLoads(lab, await lab.own({ layout }), shapes, times)).sample };
    },
  };
}

function subjectOf(alternative: Alternative, isQuick: boolean): Subject {
  return {
    name: alternative.name,
    async measure(lab) {
      const missing = await alternative.missing();
      if (missing !== undefined) throw new LeftOutError(missing);
      return await measureWays(alternative, lab, isQuick ? QUICK_WAYS : Infinity);
    },
  };
}

async function measureWays(alternative: Alternative, lab: Lab, maxWays: number): Promise<Record<string, Sample>> {
  const { seconds, signal } = lab.options;
  const samples: Record<string, Sample> = {};
  try {
    for await (const result of alternative.measure(seconds, signal)) {
      const { name, what, idsPerSecond, requestsPerSecond, p50Us, p99Us, inFlight } = result;
      const row = `${name}, ${inFlight} in flight`;
      keeps.set(row, what);
      samples[row] = { repliesPerSecond: requestsPerSecond, idsPerSecond, p50Us, p99Us };
      if (Object.keys(samples).length === maxWays) break;
    }
  } catch (error) {
    // That somebody else's server does not work here must not cost all other figures.
    throw signal.aborted ? error : new LeftOutError((error as Error).message);
  }
  return samples;
}
