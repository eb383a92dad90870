import { TempDir } from "../../testing/temp_dir.ts";
import type { Alternative, AlternativeResult } from "./alternative.ts";
import { missingCommands } from "./find_command.ts";
import { runProgram, ServerProgram, startOnFreePort } from "./programs.ts";

/** How much Redis keeps when it crashes. */
interface Persistence {
  name: string;
  what: string;
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
    what: "nothing: after a restart, all ids are given out again",
    flags: ["--appendonly", "no"],
    uses: USES,
  },
  {
    name: "appendfsync everysec",
    what: "all but the last second or two: after a power failure, the ids of those are given out again",
    flags: ["--appendonly", "yes", "--appendfsync", "everysec"],
    uses: [INCR_64],
  },
  {
    name: "appendfsync always",
    what: "all: each id is flushed to the disk before it is given out, with those of all requests that came meanwhile",
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

  missing() {
    return missingCommands({ "redis-server": "redis-server", "redis-benchmark": "redis-tools" });
  },

  async *measure(seconds) {
    for (const persistence of PERSISTENCES) {
      await using directory = await TempDir.make();
      const [port, server] = await startServer(directory.path, persistence.flags);
      await using _server = server;
      for (const use of persistence.uses) yield await measureUse(port, persistence, use, seconds);
    }
  },
};

function startServer(directory: string, flags: string[]): Promise<[port: number, server: ServerProgram]> {
  return startOnFreePort((port) => {
    const place = ["--bind", "127.0.0.1", "--port", String(port), "--dir", directory];
    return ServerProgram.start(["redis-server", ...place, "--save", "", ...flags], {
      isReady: (printed) => printed.includes("Ready to accept connections"),
      stopSignal: "SIGTERM",
    });
  });
}

async function measureUse(
  port: number,
  { name, what }: Persistence,
  use: Use,
  seconds: number,
): Promise<AlternativeResult> {
  const { command, idsPerRequest, connections, pipeline } = use;
  const inFlight = connections * pipeline;
  const run = (requests: number) => benchmark(port, use, requests);

  // redis-benchmark is told how many requests to make, not for how long: the trial runs say how many that are.
  let requests = inFlight * 10;
  let trial = await run(requests);
  while (!(requests / trial.requestsPerSecond >= TRIAL_SECONDS)) trial = await run(requests *= 4);
  const result = await run(Math.ceil(trial.requestsPerSecond * seconds));

  const asked = command === "INCR" ? "INCR" : `INCRBY ${idsPerRequest}`;
  const pipelined = pipeline === 1 ? "" : `, pipelines of ${pipeline}`;
  return {
    name: `Redis ${asked}${pipelined}, ${name}`,
    what,
    ...result,
    idsPerSecond: result.requestsPerSecond * idsPerRequest,
    inFlight,
  };
}

async function benchmark(port: number, use: Use, requests: number) {
  const { command, idsPerRequest, connections, pipeline } = use;
  const load = ["-c", connections, "-P", pipeline, "-n", requests].map(String);
  const asked = command === "INCR" ? ["INCR", "ids"] : ["INCRBY", "ids", String(idsPerRequest)];
  const csv = await runProgram(["redis-benchmark", "-p", String(port), ...load, "--csv", ...asked]);
  const [names, values] = csv.trim().split("\n").map((line) => line.slice(1, -1).split('","'));
  const value = (name: string) => Number(values[names.indexOf(name)]);
  return {
    requestsPerSecond: value("rps"),
    p50Us: value("p50_latency_ms") * 1000,
    p99Us: value("p99_latency_ms") * 1000,
  };
}
