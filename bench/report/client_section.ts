import type { IdClientOptions } from "../../client.ts";
import { median, type Sample } from "./figures.ts";
import type { Lab } from "./lab.ts";
import { MeasuredClient } from "./measured_client.ts";
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

/** How long clients that are compared take turns, in s: so short that they see the same of what else is going on. */
const TURN_SECONDS = 0.1;

/** The ways to name one server or two, to be compared. The first server answers. */
const NAMINGS: Record<string, (ports: number[]) => IdClientOptions> = {
  "{ port }": ([port]) => ({ port }),
  "{ servers: [one] }": ([port]) => ({ servers: [{ hostname: "127.0.0.1", port }] }),
  "{ servers: [one, two] }": (ports) => ({ servers: ports.map((port) => ({ hostname: "127.0.0.1", port })) }),
};
const [PORT, ONE, TWO] = Object.keys(NAMINGS);
const rowOf = ({ row }: Use, naming: string) => `${row}: ${naming}`;

/** How many ids one process of TypeScript can get. */
export const CLIENT: Section = {
  name: "client",
  title: "The client",
  about: "One process, one socket, the range protocol; a server with one worker, on the other CPU. `IdClient` gives " +
    "every id as a bigint through a promise of its own; the load generator in C only counts them. Segments: " +
    "requests that go out together are one message, as `IdClient` sends them. The second table: clients that know " +
    "one server or two of them, all on one CPU, and the servers on the other. They take turns of " +
    `${TURN_SECONDS} s; a ratio is the median of those of turns that follow each other.`,

  subjects: (isQuick) => [
    ...[SINGLE, PREFETCHING].map((use) =>
      subject(use.row, async (lab) => await runClient(lab, await serverOf(lab), use))
    ),
    ...(["segments", "datagrams"] as const).map((send) =>
      subject(IN_C[send], async (lab) => {
        const shape = { cpu: lab.cpu(1), protocol: "range" as const, inFlight: IN_FLIGHT, send };
        return (await runLoads(lab, await serverOf(lab), [shape])).sample;
      })
    ),
    ...(isQuick ? [SINGLE] : [SINGLE, PREFETCHING]).map((use) => ({
      name: `${use.row}, one server and two`,
      measure: (lab: Lab) => compareNamings(lab, use),
    })),
  ],

  show: (figures) => ({
    tables: [
      tableOf(ROWS, {
        "": (row) => row,
        "ids/s": (row) => figures.text(row, "idsPerSecond"),
        "/ C, segments": (row) => figures.ratio("idsPerSecond", row, IN_C.segments),
      }),
      tableOf([SINGLE, PREFETCHING].flatMap((use) => Object.keys(NAMINGS).map((naming) => rowOf(use, naming))), {
        "by how servers are named": (row) => row,
        "ids/s": (row) => figures.text(row, "idsPerSecond"),
        [`/ ${PORT}`]: (row) => figures.text(row, "perPort"),
        [`/ ${ONE}`]: (row) => figures.text(row, "perOne"),
      }),
    ],
    panels: [figures.panel("Ids a second", ROWS, { "ids/s": "idsPerSecond" }, { isLogarithmic: true })],
  }),
};

function serverOf(lab: Lab): Promise<OwnTarget> {
  return lab.own({ layout: "dense", workers: 1 });
}

async function runClient(lab: Lab, target: OwnTarget, { prefetch, callers }: Use): Promise<Sample> {
  const client = await MeasuredClient.start(lab, [target], { port: target.port, prefetch }, callers);
  const idsPerSecond = await client.idsPerSecond(lab.options.seconds);
  await client.end();
  return { idsPerSecond };
}

/** Lets clients that differ in how they name servers take turns. */
async function compareNamings(lab: Lab, { row, prefetch, callers }: Use): Promise<Record<string, Sample>> {
  const targets = [await serverOf(lab), await lab.own({ layout: "dense", workers: 1, nodeId: 1 })];
  const ports = targets.map(({ port }) => port);
  const clients = new Map<string, MeasuredClient>();
  for (const [naming, optionsOf] of Object.entries(NAMINGS)) {
    clients.set(naming, await MeasuredClient.start(lab, targets, { ...optionsOf(ports), prefetch }, callers));
  }
  const turns: Record<string, number>[] = [];
  for (let i = 0; i < lab.options.seconds / TURN_SECONDS; i++) {
    const turn: Record<string, number> = {};
    const order = i % 2 === 0 ? [...clients] : [...clients].reverse();
    for (const [naming, client] of order) turn[naming] = await client.idsPerSecond(TURN_SECONDS);
    turns.push(turn);
  }
  for (const client of clients.values()) await client.end();
  const medianOf = (figure: (turn: Record<string, number>) => number) => median(turns.map(figure));
  return Object.fromEntries([...clients.keys()].map((naming) => [rowOf({ row, prefetch, callers }, naming), {
    idsPerSecond: medianOf((turn) => turn[naming]),
    ...naming === PORT ? {} : { perPort: medianOf((turn) => turn[naming] / turn[PORT]) },
    ...naming === TWO ? { perOne: medianOf((turn) => turn[naming] / turn[ONE]) } : {},
  }]));
}
