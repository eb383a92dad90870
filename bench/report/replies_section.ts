import type { Panel } from "./chart.ts";
import type { Figures } from "./figures.ts";
import { formatRatio, formatSummary } from "./format.ts";
import type { Lab } from "./lab.ts";
import { loadShapes } from "./load_shape.ts";
import { runLoads } from "./run_loads.ts";
import type { Section, Subject } from "./section.ts";
import type { Table } from "./table.ts";
import type { Target } from "./target.ts";

/** A server that is compared. */
export type ServerName = "global-id" | "C, segments" | "C, batch" | "C, plain";

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
  about:
    "The basic protocol: a datagram of 1 byte, answered by one with an id. Beside ours a server in C that does the " +
    "same, with one datagram a system call (plain); with up to 64 (batch); or with up to 64 messages, and several datagrams " +
    "of one sender or receiver in a message where there are such (segments: `UDP_GRO`, `UDP_SEGMENT`), as ours does it. All " +
    "pin their workers and set `SO_INCOMING_CPU`, and have more ids than they are asked for. With one worker, the load " +
    "generator is on the other CPU; with two, there is a load process on each of the CPUs, which has half of the requests in " +
    "flight, and at least one. Most clients send datagram by datagram; `IdClient` and those of the second tables send all " +
    "requests that go out together as one message.\n\n" +
    "The load generator's share of a CPU, as long as there is one worker: with segments it is far from used up, so that the " +
    "server is what limits. With datagrams both do the same work for a reply, and are used up at about the same rate; the " +
    "load generator was made cheaper once (sending segments to a server that takes none), from 0.97 to 0.82, and got no more " +
    "replies.\n\n" +
    "Latency: requests come evenly spaced, half as many as the slower of global-id and C, segments, answered with " +
    "64 in flight, and count from when they were due. The load generator never sleeps meanwhile: it looks for answers and " +
    "lets others go first. A timer for every request would take a virtual machine longer than the request.",

  subjects(isQuick) {
    const throughputs = WORKERS.flatMap((workers) =>
      SENDS.flatMap((send) => {
        const { servers, inFlights } = COMPARED[send];
        return (isQuick ? [FULL_LOAD_IN_FLIGHT] : inFlights).flatMap((inFlight) =>
          (isQuick ? EQUALS : servers).map((server) => repliesSubject(server, workers, inFlight, send))
        );
      })
    );
    const latencies = (isQuick ? WORKERS.slice(0, 1) : WORKERS).flatMap((workers) =>
      EQUALS.map((server) => latencySubject(server, workers))
    );
    return [...throughputs, ...latencies];
  },

  show(figures) {
    return {
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
    };
  },
};

/** Measures one way to ask one of the servers. */
export function repliesSubject(
  server: ServerName,
  workers: number,
  inFlight: number,
  send: Send = "datagrams",
): Subject {
  const row = repliesRow(server, workers, inFlight, send);
  return {
    name: row,
    async measure(lab) {
      const shapes = loadShapes(lab, workers, inFlight).map((shape) => ({ ...shape, send }));
      const { sample } = await runLoads(lab, await targetOf(lab, server, workers), shapes);
      return { [row]: sample };
    },
  };
}

/** Its row. */
export function repliesRow(
  server: ServerName,
  workers: number,
  inFlight: number,
  send: Send = "datagrams",
): string {
  const by = send === "segments" ? " as segments" : "";
  return `${server}, ${workersOf(workers)}, ${inFlightOf(workers, inFlight)}${by}`;
}

function latencySubject(server: ServerName, workers: number): Subject {
  const row = latencyRow(server, workers);
  return {
    name: row,
    async measure(lab, figures) {
      const rate = halfLoad(figures, workers);
      const shapes = loadShapes(lab, workers, FULL_LOAD_IN_FLIGHT * workers);
      const { sample } = await runLoads(
        lab,
        await targetOf(lab, server, workers),
        shapes.map((shape) => ({ ...shape, rate: Math.round(rate / shapes.length) })),
      );
      return { [row]: { askedPerSecond: rate, ...sample } };
    },
  };
}

function latencyRow(server: ServerName, workers: number): string {
  return `${server}, ${workersOf(workers)}, half load`;
}

function halfLoad(figures: Figures, workers: number): number {
  const rates = EQUALS.map((server) =>
    figures.median(repliesRow(server, workers, FULL_LOAD_IN_FLIGHT), "repliesPerSecond")!
  );
  return Math.round(Math.min(...rates) / 2);
}

function targetOf(lab: Lab, server: ServerName, workers: number): Promise<Target> {
  if (server === "global-id") return lab.own({ layout: "dense", workers });
  const calls = server.slice("C, ".length) as "segments" | "batch" | "plain";
  return lab.inC({ workers, calls, incomingCpu: true, sequenceBits: 24 });
}

function throughputTable(figures: Figures, workers: number, send: Send): Table {
  const { servers, inFlights, title } = COMPARED[send];
  const others = servers.slice(1);
  return {
    columns: [`${title}, ${workersOf(workers)}`, ...servers, ...others.map((other) => `ours / ${other}`)],
    rows: inFlights.map((inFlight) => {
      const [own, ...theirs] = servers.map((server) =>
        figures.of(repliesRow(server, workers, inFlight, send), "repliesPerSecond")
      );
      const ratios = theirs.map((summary) => formatRatio(own?.median, summary?.median));
      return [inFlightOf(workers, inFlight), ...[own, ...theirs].map(formatSummary), ...ratios];
    }),
  };
}

function throughputPanel(figures: Figures, workers: number, send: Send): Panel {
  const { servers, inFlights, title } = COMPARED[send];
  return {
    title: `${title}, ${workersOf(workers)}`,
    isLogarithmic: send === "segments",
    categories: inFlights.map((inFlight) => inFlightOf(workers, inFlight)),
    series: servers.map((name) => ({
      name,
      values: inFlights.map((inFlight) =>
        figures.median(repliesRow(name, workers, inFlight, send), "repliesPerSecond")
      ),
    })),
  };
}

/** How busy the load generator was, where it has a CPU for itself. */
function loadTable(figures: Figures): Table {
  return {
    columns: ["load generator's share of its CPU, 1 worker", ...EQUALS],
    rows: SENDS.flatMap((send) =>
      COMPARED[send].inFlights.map((inFlight) => [
        `${inFlightOf(1, inFlight)}, ${send}`,
        ...EQUALS.map((server) => formatSummary(figures.of(repliesRow(server, 1, inFlight, send), "loadCpuShare"))),
      ])
    ),
  };
}

function latencyTable(figures: Figures): Table {
  const [own, inC] = EQUALS;
  return {
    columns: ["latency at half load, us", own, inC, `ours / ${inC}`],
    rows: WORKERS.flatMap((workers) =>
      Object.entries(LATENCIES).map(([latency, name]) => {
        const [ours, theirs] = [own, inC].map((server) => figures.of(latencyRow(server, workers), latency));
        const ratio = formatRatio(ours?.median, theirs?.median);
        return [`${name}, ${workersOf(workers)}`, formatSummary(ours), formatSummary(theirs), ratio];
      })
    ),
  };
}

/** Each load process, of which there are as many as workers, has one at least. */
function inFlightOf(workers: number, inFlight: number): string {
  return `${Math.max(inFlight, workers)} in flight`;
}

function workersOf(count: number): string {
  return count === 1 ? "1 worker" : `${count} workers`;
}
