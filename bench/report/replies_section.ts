import type { Panel } from "./chart.ts";
import type { Figures } from "./figures.ts";
import type { Lab } from "./lab.ts";
import { loadShapes, runLoads } from "./run_loads.ts";
import { type Section, type Subject, subject } from "./section.ts";
import { type Table, tableOf } from "./table.ts";
import type { Target } from "./target.ts";

/** A server that is compared. */
type ServerName = "global-id" | "C, segments" | "C, batch" | "C, plain";

/** How clients send requests that go out together: see `LoadOptions`. */
type Send = "datagrams" | "segments";

const WORKERS = [1, 2];
/** Who is asked, and with how many requests in flight. */
const COMPARED: Record<Send, { servers: ServerName[]; inFlights: number[]; title: string }> = {
  datagrams: {
    servers: ["global-id", "C, segments", "C, batch", "C, plain"],
    inFlights: [1, 16, 64, 256],
    title: "Replies a second",
  },
  segments: {
    servers: ["global-id", "C, segments", "C, batch"],
    inFlights: [16, 64, 256],
    title: "Replies a second, clients that send segments",
  },
};
const SENDS = Object.keys(COMPARED) as Send[];
/** The two that make the same system calls. */
const EQUALS: ServerName[] = ["global-id", "C, segments"];

/** What takes half of the load that was answered with this many requests in flight. */
const FULL_LOAD_IN_FLIGHT = 64;
const LATENCIES = { p50Us: "p50", p99Us: "p99", p999Us: "p99.9" };

/** One id a datagram, beside servers in C that do the same. */
export const REPLIES: Section = {
  name: "replies",
  title: "Replies: one id a request",
  about: "The basic protocol: a datagram of 1 byte, answered by one with an id. Beside ours a server in C that does " +
    "the same, with one datagram a system call (plain); with up to 64 (batch); or with up to 64 messages, and " +
    "several datagrams of one sender or receiver in a message where there are such (segments: `UDP_GRO`, " +
    "`UDP_SEGMENT`), as ours does it. All pin their workers and set `SO_INCOMING_CPU`, and have more ids than " +
    "they are asked for. With one worker, the load generator is on the other CPU; with two, there is a load " +
    "process on each of the CPUs, which has half of the requests in flight, and at least one. Most clients send " +
    "datagram by datagram; `IdClient` and those of the second tables send all requests that go out together as " +
    "one message.\n\n" +
    "The load generator's share of a CPU, as long as there is one worker: with segments it is far from used up, " +
    "so that the server is what limits. With datagrams both do the same work for a reply, and are used up at " +
    "about the same rate; the load generator was made cheaper once (sending segments to a server that takes " +
    "none), from 0.97 to 0.82, and got no more replies.\n\n" +
    "Latency: requests come evenly spaced, half as many as the slower of global-id and C, segments, answered with " +
    "64 in flight, and count from when they were due. The load generator never sleeps meanwhile: it looks for " +
    "answers and lets others go first. A timer for every request would take a virtual machine longer than the " +
    "request.",

  subjects(isQuick) {
    const throughputs = WORKERS.flatMap((workers) =>
      SENDS.flatMap((send) => {
        const { servers, inFlights } = COMPARED[send];
        return (isQuick ? [FULL_LOAD_IN_FLIGHT] : inFlights).flatMap((inFlight) =>
          (isQuick ? EQUALS : servers).map((server) => throughputSubject({ server, workers, inFlight, send }))
        );
      })
    );
    const latencies = (isQuick ? WORKERS.slice(0, 1) : WORKERS).flatMap((workers) =>
      EQUALS.map((server) => latencySubject(server, workers))
    );
    return [...throughputs, ...latencies];
  },

  show: (figures) => ({
    tables: [
      ...SENDS.flatMap((send) => WORKERS.map((workers) => throughputTable(figures, workers, send))),
      loadTable(figures),
      latencyTable(figures),
    ],
    panels: [
      ...SENDS.flatMap((send) => WORKERS.map((workers) => throughputPanel(figures, workers, send))),
      ...WORKERS.map((workers) => ({
        title: `Latency at half load in us, ${workersOf(workers)}`,
        isLogarithmic: true,
        categories: Object.values(LATENCIES),
        series: EQUALS.map((name) => ({
          name,
          values: Object.keys(LATENCIES).map((latency) => figures.median(latencyRow(name, workers), latency)),
        })),
      })),
    ],
  }),
};

/** A way to ask one of the servers. */
interface Way {
  server: ServerName;
  workers: number;
  inFlight: number;
  send: Send;
}

function throughputSubject(way: Way): Subject {
  const { server, workers, inFlight, send } = way;
  return subject(rowOf(way), async (lab) => {
    const shapes = loadShapes(lab, workers, inFlight).map((shape) => ({ ...shape, send }));
    return (await runLoads(lab, await targetOf(lab, server, workers), shapes)).sample;
  });
}

function rowOf({ server, workers, inFlight, send }: Way): string {
  const by = send === "segments" ? " as segments" : "";
  return `${server}, ${workersOf(workers)}, ${inFlightOf(workers, inFlight)}${by}`;
}

function latencySubject(server: ServerName, workers: number): Subject {
  return subject(latencyRow(server, workers), async (lab, figures) => {
    const rate = halfLoad(figures, workers);
    const shapes = loadShapes(lab, workers, FULL_LOAD_IN_FLIGHT * workers);
    const { sample } = await runLoads(
      lab,
      await targetOf(lab, server, workers),
      shapes.map((shape) => ({ ...shape, rate: Math.round(rate / shapes.length) })),
    );
    return { askedPerSecond: rate, ...sample };
  });
}

function latencyRow(server: ServerName, workers: number): string {
  return `${server}, ${workersOf(workers)}, half load`;
}

function halfLoad(figures: Figures, workers: number): number {
  const full = { workers, inFlight: FULL_LOAD_IN_FLIGHT, send: "datagrams" as const };
  const rates = EQUALS.flatMap((server) => figures.median(rowOf({ server, ...full }), "repliesPerSecond") ?? []);
  return Math.round(Math.min(...rates) / 2);
}

function targetOf(lab: Lab, server: ServerName, workers: number): Promise<Target> {
  if (server === "global-id") return lab.own({ layout: "dense", workers });
  const calls = server.slice("C, ".length) as "segments" | "batch" | "plain";
  return lab.inC({ workers, calls, incomingCpu: true, sequenceBits: 24 });
}

function throughputTable(figures: Figures, workers: number, send: Send): Table {
  const { servers, inFlights, title } = COMPARED[send];
  const [own, ...others] = servers;
  const row = (server: ServerName, inFlight: number) => rowOf({ server, workers, inFlight, send });
  return tableOf(inFlights, {
    [`${title}, ${workersOf(workers)}`]: (inFlight) => inFlightOf(workers, inFlight),
    ...byName(servers, (server) => (inFlight: number) => figures.text(row(server, inFlight), "repliesPerSecond")),
    ...byName(
      others.map((other) => `ours / ${other}`),
      (_, i) => (inFlight: number) => figures.ratio("repliesPerSecond", row(own, inFlight), row(others[i], inFlight)),
    ),
  });
}

function throughputPanel(figures: Figures, workers: number, send: Send): Panel {
  const { servers, inFlights, title } = COMPARED[send];
  return {
    title: `${title}, ${workersOf(workers)}`,
    isLogarithmic: send === "segments",
    categories: inFlights.map((inFlight) => inFlightOf(workers, inFlight)),
    series: servers.map((server) => ({
      name: server,
      values: inFlights.map((inFlight) =>
        figures.median(rowOf({ server, workers, inFlight, send }), "repliesPerSecond")
      ),
    })),
  };
}

/** How busy the load generator was, where it has a CPU for itself. */
function loadTable(figures: Figures): Table {
  const ways = SENDS.flatMap((send) => COMPARED[send].inFlights.map((inFlight) => ({ workers: 1, inFlight, send })));
  return tableOf(ways, {
    "load generator's share of its CPU, 1 worker": ({ inFlight, send }) => `${inFlightOf(1, inFlight)}, ${send}`,
    ...byName(
      EQUALS,
      (server) => (way: typeof ways[number]) => figures.text(rowOf({ server, ...way }), "loadCpuShare"),
    ),
  });
}

function latencyTable(figures: Figures): Table {
  const [own, inC] = EQUALS;
  const rows = WORKERS.flatMap((workers) =>
    Object.entries(LATENCIES).map(([latency, name]) => ({ workers, latency, name }))
  );
  return tableOf(rows, {
    "latency at half load, us": ({ workers, name }) => `${name}, ${workersOf(workers)}`,
    [own]: ({ workers, latency }) => figures.text(latencyRow(own, workers), latency),
    [inC]: ({ workers, latency }) => figures.text(latencyRow(inC, workers), latency),
    [`ours / ${inC}`]: ({ workers, latency }) =>
      figures.ratio(latency, latencyRow(own, workers), latencyRow(inC, workers)),
  });
}

function byName<N extends string, V>(names: readonly N[], valueOf: (name: N, index: number) => V): Record<string, V> {
  return Object.fromEntries(names.map((name, i) => [name, valueOf(name, i)]));
}

/** Each load process, of which there are as many as workers, has at least one. */
function inFlightOf(workers: number, inFlight: number): string {
  return `${Math.max(inFlight, workers)} in flight`;
}

function workersOf(count: number): string {
  return count === 1 ? "1 worker" : `${count} workers`;
}
