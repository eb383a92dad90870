import { TempDir } from "../../testing/temp_dir.ts";
import type { Alternative, Speed } from "./alternative.ts";
import { missingPrograms } from "./missing_programs.ts";
import { freePort, runProgram, ServerProgram } from "./programs.ts";

/** How much Redis keeps when it crashes. */
interface Persistence {
  name: string;
  keeps: string;
  flags: string[];
  uses: Use[];
}

/** A way to ask it for ids. */
interface Use {
  command: "INCR" | "INCRBY";
  idsPerRequest: number;
  connections: number;
  /** How many requests a connection sends before it waits for the answers. */
  pipeline: number;
}

const INCR_64: Use = { command: "INCR", idsPerRequest: 1, connections: 64, pipeline: 1 };
const USES: Use[] = [
  { ...INCR_64, connections: 1 },
  INCR_64,
  { ...INCR_64, pipeline: 16 },
  { ...INCR_64, pipeline: 64 },
  { ...INCR_64, command: "INCRBY", idsPerRequest: 1000 },
];

const PERSISTENCES: Persistence[] = [
  {
    name: "no persistence",
    keeps: "nothing: after a restart, all ids are given out again",
    flags: ["--appendonly", "no"],
    uses: USES,
  },
  {
    name: "appendfsync everysec",
    keeps: "all but the last second or two: after a power failure, the ids of those are given out again",
    flags: ["--appendonly", "yes", "--appendfsync", "everysec"],
    uses: [INCR_64],
  },
  {
    name: "appendfsync always",
    keeps: "all: each id is flushed to the disk before it is given out, with those of all requests that came meanwhile",
    flags: ["--appendonly", "yes", "--appendfsync", "always"],
    uses: USES,
  },
];

/** How long a trial run must take to tell how many requests there can be in a second, in seconds. */
const TRIAL_SECONDS = 0.25;

/**
 * A counter in Redis, measured by redis-benchmark over TCP. That tells latencies in steps of 8 us; each request of a
 * pipeline counts as having taken as long as the first answer did.
 */
export const REDIS: Alternative = {
  name: "Redis",

  missing: () => missingPrograms({ "redis-server": "redis-server", "redis-benchmark": "redis-tools" }),

  async *measure(seconds) {
    for (const { name, keeps, flags, uses } of PERSISTENCES) {
      await using directory = await TempDir.make();
      const port = freePort();
      await using _server = await startServer(directory.path, port, flags);
      for (const use of uses) {
        const speed = await measureUse(port, use, seconds);
        yield { name: `Redis ${nameOf(use)}, ${name}, ${inFlightOf(use)} in flight`, keeps, ...speed };
      }
    }
  },
};

function startServer(directory: string, port: string, flags: string[]): Promise<ServerProgram> {
  const place = ["--bind", "127.0.0.1", "--port", port, "--dir", directory];
  return ServerProgram.start(["redis-server", ...place, "--save", "", ...flags], {
    isReady: (printed) => printed.includes("Ready to accept connections"),
    stopSignal: "SIGTERM",
  });
}

function nameOf({ command, idsPerRequest, pipeline }: Use): string {
  return (command === "INCR" ? "INCR" : `INCRBY ${idsPerRequest}`) +
    (pipeline === 1 ? "" : `, pipelines of ${pipeline}`);
}

function inFlightOf({ connections, pipeline }: Use): number {
  return connections * pipeline;
}

async function measureUse(port: string, use: Use, seconds: number): Promise<Speed & { idsPerSecond: number }> {
  // redis-benchmark is told how many requests to make, not for how long: the trial runs say how many that are.
  let requests = inFlightOf(use) * 10;
  let trial = await benchmark(port, use, requests);
  while (!(requests / trial.repliesPerSecond >= TRIAL_SECONDS)) trial = await benchmark(port, use, requests *= 4);
  const speed = await benchmark(port, use, Math.ceil(trial.repliesPerSecond * seconds));
  return { ...speed, idsPerSecond: speed.repliesPerSecond * use.idsPerRequest };
}

async function benchmark(port: string, use: Use, requests: number): Promise<Speed> {
  const { command, idsPerRequest, connections, pipeline } = use;
  const load = ["-c", connections, "-P", pipeline, "-n", requests].map(String);
  const asked = command === "INCR" ? ["INCR", "ids"] : ["INCRBY", "ids", String(idsPerRequest)];
  const csv = await runProgram(["redis-benchmark", "-p", port, ...load, "--csv", ...asked]);
  const [names, values] = csv.trim().split("\n").map((line) => line.slice(1, -1).split('","'));
  const value = (name: string) => Number(values[names.indexOf(name)]);
  return {
    repliesPerSecond: value("rps"),
    p50Us: value("p50_latency_ms") * 1000,
    p99Us: value("p99_latency_ms") * 1000,
  };
}
