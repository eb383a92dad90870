import type { Figures } from "./figures.ts";
import { formatRatio, formatSummary } from "./format.ts";
import type { Lab } from "./lab.ts";
import { loadShapes } from "./load_shape.ts";
import { runLoads } from "./run_loads.ts";
import type { Section, Subject } from "./section.ts";
import type { Table } from "./table.ts";
import type { Target } from "./target.ts";

/** A server that is compared. */
export type ServerName = "global-id" | "C, batch" | "C, plain";

const SERVERS: ServerName[] = ["global-id", "C, batch", "C, plain"];
const WORKERS = [1, 2];
const IN_FLIGHT = [1, 16, 64, 256];

/** What takes half of the load that was answered with this many requests in flight. */
const FULL_LOAD_IN_FLIGHT = 64;
const LATENCIES = { p50Us: "p50", p99Us: "p99", p999Us: "p99.9" };

/** One id a datagram, beside servers in C that do the same. */
export const REPLIES: Section = {
  name: "replies",
  title: "Replies: one id a request",
  about:
    "The basic protocol: a datagram of 1 byte, answered by one with an id. Beside ours a server in C that does the " +
    "same: up to 64 datagrams a system call (batch, as ours) or one (plain). All pin their workers and set " +
    "`SO_INCOMING_CPU`, and ids have the layout `wide` (1,048,576 a second). With one worker, the load generator is on the " +
    "other CPU; with two, there is a load process on each of the CPUs, which has half of the requests in flight, and at " +
    "least one. In results.json, `loadCpuShare` and `workerCpuShare` tell how busy the two sides were.\n\n" +
    "Latency: requests come evenly spaced, half as many as the slower of global-id and C, batch, answered with " +
    "64 in flight, and count from when they were due.",

  subjects(isQuick) {
    const inFlights = isQuick ? [FULL_LOAD_IN_FLIGHT] : IN_FLIGHT;
    const servers = isQuick ? SERVERS.slice(0, 2) : SERVERS;
    const throughputs = WORKERS.flatMap((workers) =>
      inFlights.flatMap((inFlight) => servers.map((server) => repliesSubject(server, workers, inFlight)))
    );
    const latencies = (isQuick ? WORKERS.slice(0, 1) : WORKERS).flatMap((workers) =>
      SERVERS.slice(0, 2).map((server) => latencySubject(server, workers))
    );
    return [...throughputs, ...latencies];
  },

  show(figures) {
    return {
      tables: [...WORKERS.map((workers) => throughputTable(figures, workers)), latencyTable(figures)],
      panels: [
        ...WORKERS.map((workers) => ({
          title: `Replies a second, ${workersOf(workers)}`,
          categories: IN_FLIGHT.map((inFlight) => inFlightOf(workers, inFlight)),
          series: SERVERS.map((name) => ({
            name,
            values: IN_FLIGHT.map((inFlight) =>
              figures.median(repliesRow(name, workers, inFlight), "repliesPerSecond")
            ),
          })),
        })),
        ...WORKERS.map((workers) => ({
          title: `Latency at half load in us, ${workersOf(workers)}`,
          isLogarithmic: true,
          categories: Object.values(LATENCIES),
          series: SERVERS.slice(0, 2).map((name) => ({
            name,
            values: Object.keys(LATENCIES).map((latency) => figures.median(latencyRow(name, workers), latency)),
          })),
        })),
      ],
    };
  },
};

/** Measures one way to ask one of the servers. */
export function repliesSubject(server: ServerName, workers: number, inFlight: number): Subject {
  const row = repliesRow(server, workers, inFlight);
  return {
    name: row,
    async measure(lab) {
      const { sample } = await runLoads(lab, await targetOf(lab, server, workers), loadShapes(lab, workers, inFlight));
      return { [row]: sample };
    },
  };
}

/** Its row. */
export function repliesRow(server: ServerName, workers: number, inFlight: number): string {
  return `${server}, ${workersOf(workers)}, ${inFlightOf(workers, inFlight)}`;
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
  const rates = SERVERS.slice(0, 2).map((server) =>
    figures.median(repliesRow(server, workers, FULL_LOAD_IN_FLIGHT), "repliesPerSecond")!
  );
  return Math.round(Math.min(...rates) / 2);
}

function targetOf(lab: Lab, server: ServerName, workers: number): Promise<Target> {
  if (server === "global-id") return lab.own({ layout: "wide", workers });
  const calls = server === "C, batch" ? "batch" : "plain";
  return lab.inC({ workers, calls, incomingCpu: true, sequenceBits: 20 });
}

function throughputTable(figures: Figures, workers: number): Table {
  return {
    columns: [`replies/s, ${workersOf(workers)}`, ...SERVERS, "ours / C, batch", "ours / C, plain"],
    rows: IN_FLIGHT.map((inFlight) => {
      const [own, batch, plain] = SERVERS.map((server) =>
        figures.of(repliesRow(server, workers, inFlight), "repliesPerSecond")
      );
      const ratios = [batch, plain].map((summary) => formatRatio(own?.median, summary?.median));
      return [inFlightOf(workers, inFlight), ...[own, batch, plain].map(formatSummary), ...ratios];
    }),
  };
}

function latencyTable(figures: Figures): Table {
  const [own, inC] = SERVERS;
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
