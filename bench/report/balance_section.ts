import { DEFAULT_LAYOUT } from "../../lib/id/presets.ts";
import { killIfAlive } from "../../testing/server_process.ts";
import type { Sample } from "./figures.ts";
import { formatShare } from "./format.ts";
import type { Lab } from "./lab.ts";
import { type LoadSecond, type LoadShape, PLACEMENT_SECONDS, runLoads } from "./run_loads.ts";
import { type Section, type Subject, subject } from "./section.ts";
import { tableOf } from "./table.ts";
import type { OwnTarget } from "./target.ts";

/** Requests in flight in all, however many clients there are: enough to ask for more ids than there are. */
const IN_FLIGHT = 64;
const IDS_PER_SECOND = DEFAULT_LAYOUT.maxSequence + 1;

const KILL_INTERVAL_MS = 1000;
/** A server gives up on a worker that dies six times in a minute: with two workers in turn, this is well below. */
const MAX_KILLS = 8;

const OWN = "global-id";
const BY_CPU = "C, worker by CPU";
const BY_HASH = "C, worker by hash";
const SERVERS = [OWN, BY_CPU, BY_HASH];

/** The clients of a row. */
interface Clients {
  name: string;
  /** Sockets of each load process, of which there is one a CPU, from the first one on. */
  sockets: number[];
  /** How they send requests that go out together. Default: as datagrams. */
  send?: "datagrams" | "segments";
  /** Whether the workers are killed in turn meanwhile. */
  isDeadly?: boolean;
}

const CLIENTS: Clients[] = [
  { name: "1 client", sockets: [1] },
  { name: "2 clients", sockets: [1, 1] },
  { name: "8 clients", sockets: [4, 4] },
  { name: "64 clients", sockets: [32, 32] },
  { name: "8 clients that send segments", sockets: [4, 4], send: "segments" },
  { name: "8 clients, all on one CPU", sockets: [8] },
];
const DEADLY: Clients = { name: "8 clients, a worker killed every second", sockets: [4, 4], isDeadly: true };

/** Whether a server with several workers refuses requests while it has ids. */
export const BALANCE: Section = {
  name: "balance",
  title: "Balance: two workers and few clients",
  about: "The basic protocol at full load, 64 requests in flight over all clients, layout `default`: 131,072 ids a " +
    "second and more requests than that. A refusal is wrong if the node still had an id in that second of the " +
    "clock: of each second's refusals, as many as ids were left over (131,072 less those granted), divided by all " +
    "replies. Beside ours the server in C, whose workers have every second id each: with `SO_INCOMING_CPU`, as " +
    "ours, which makes the kernel give a datagram to the worker on the CPU where it arrives (ours: or on an idle " +
    "one, if that CPU is saturated); and without, when a hash of the client's address decides.",

  subjects(isQuick) {
    const clients = isQuick ? CLIENTS.slice(-1) : CLIENTS;
    return [
      ...clients.flatMap((clients) => SERVERS.map((server) => subjectOf(server, clients))),
      subjectOf(OWN, DEADLY),
    ];
  },

  show(figures) {
    const all = [...CLIENTS, DEADLY];
    const panel = (title: string, name: string, scale: number) => ({
      title,
      categories: all.map(({ name }) => name),
      series: SERVERS.map((server) => ({
        name: server,
        values: all.map((clients) => scaled(figures.median(rowOf(server, clients), name), scale)),
      })),
    });
    const perServer = (cell: (row: string) => string | undefined) =>
      Object.fromEntries(SERVERS.map((server) => [server, (clients: Clients) => cell(rowOf(server, clients))]));
    const ratio = (other: string) => (clients: Clients) =>
      figures.ratio("repliesPerSecond", rowOf(OWN, clients), rowOf(other, clients));
    return {
      tables: [
        tableOf(all, {
          "refusals while there were ids": ({ name }) => name,
          ...perServer((row) => formatShare(figures.median(row, "wrongShare"))),
        }),
        tableOf(all, {
          "replies/s": ({ name }) => name,
          ...perServer((row) => figures.text(row, "repliesPerSecond")),
          [`ours / ${BY_CPU}`]: ratio(BY_CPU),
          [`ours / ${BY_HASH}`]: ratio(BY_HASH),
        }),
      ],
      panels: [
        panel("Refusals while there were ids, % of all replies", "wrongShare", 100),
        panel("Replies a second", "repliesPerSecond", 1),
      ],
    };
  },
};

function subjectOf(server: string, clients: Clients): Subject {
  return subject(
    rowOf(server, clients),
    (lab) => clients.isDeadly ? loadDeadly(lab, clients) : load(lab, server, clients),
  );
}

function rowOf(server: string, clients: Clients): string {
  return `${server}, ${clients.name}`;
}

async function load(lab: Lab, server: string, clients: Clients): Promise<Sample> {
  const target = server === OWN
    ? await lab.own({ layout: "default", workers: 2 })
    : await lab.inC({ workers: 2, incomingCpu: server === BY_CPU, calls: "segments", sequenceBits: 17 });
  const { sample, perSecond } = await runLoads(lab, target, shapesOf(lab, clients), {
    warmUpSeconds: PLACEMENT_SECONDS,
  });
  return { wrongShare: wrongShare(perSecond), ...sample };
}

async function loadDeadly(lab: Lab, clients: Clients): Promise<Sample> {
  const seconds = Math.min(lab.options.seconds, MAX_KILLS);
  await using target = await lab.startOwn({ layout: "default", workers: 2 });
  let kills = 0;
  const killing = setInterval(() => kills++ < MAX_KILLS && killOldestWorker(target), KILL_INTERVAL_MS);
  try {
    const { sample, perSecond } = await runLoads(lab, target, shapesOf(lab, clients), { seconds });
    // Workers are replaced: their CPU time is nobody's.
    const { workerCpuShare: _, workerUsPerReply: __, ...others } = sample;
    return { wrongShare: wrongShare(perSecond), ...others };
  } finally {
    clearInterval(killing);
  }
}

function shapesOf(lab: Lab, { sockets, send = "datagrams" }: Clients): LoadShape[] {
  const inFlight = IN_FLIGHT / sockets.reduce((a, b) => a + b);
  return sockets.map((sockets, i) => ({ cpu: lab.cpu(i), sockets, inFlight, send }));
}

async function killOldestWorker({ own }: OwnTarget): Promise<void> {
  const [oldest] = await own.server.workerPids();
  if (oldest !== undefined) killIfAlive(oldest);
}

/** The share of replies that were refusals while there were ids. */
function wrongShare(perSecond: LoadSecond[]): number {
  let [wrong, replies] = [0, 0];
  for (const { ok, refused, ids } of perSecond) {
    wrong += Math.min(refused, Math.max(IDS_PER_SECOND - ids, 0));
    replies += ok + refused;
  }
  return wrong / replies;
}

function scaled(value: number | undefined, scale: number): number | undefined {
  return value === undefined ? undefined : value * scale;
}
