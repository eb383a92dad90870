/**
 * What the memory of a server does under full load for a long time: a line a minute.
 *
 *     deno task bench:soak [minutes]
 *
 * Two workers, 64 requests in flight, from a load process on the CPU of each. Linux with a C compiler only.
 */
import { ServerProcess } from "../testing/server_process.ts";
import { buildReference } from "./reference/build.ts";
import { runLoad } from "./reference/run_load.ts";
import { memoryOf } from "./report/process_stats.ts";

const WORKERS = 2;
const IN_FLIGHT = 64;
const SECONDS_PER_LINE = 60;

const minutes = Number(Deno.args[0] ?? 60);
const program = (await buildReference())?.load;
if (program === undefined) throw new Error("no C compiler, or not Linux (apt-get install gcc libc6-dev)");

await using server = await ServerProcess.start({ flags: ["--workers", String(WORKERS)] });
const pids = [server.pid, ...await server.workerPids()];
console.log("minute  replies/s  lost | resident (of it, not read in from a file), MiB: supervisor  each worker");
for (let minute = 0; minute <= minutes; minute++) {
  const { replies, lost } = minute === 0 ? { replies: 0, lost: 0 } : await load(program);
  const memory = await Promise.all(pids.map(showMemory));
  const perSecond = Math.round(replies / SECONDS_PER_LINE);
  console.log(
    `${String(minute).padStart(6)} ${String(perSecond).padStart(10)} ${String(lost).padStart(5)} | ${memory.join(" ")}`,
  );
}

async function showMemory(pid: number): Promise<string> {
  const { rssMib, ownMib } = await memoryOf(pid);
  return `${rssMib.toFixed(1).padStart(10)} (${ownMib.toFixed(1)})`;
}

/** Loads the server for as long as a line tells about. */
async function load(program: string): Promise<{ replies: number; lost: number }> {
  const inFlight = IN_FLIGHT / WORKERS;
  const loads = Array.from(
    { length: WORKERS },
    (_, cpu) => runLoad({ program, ports: server.ports, seconds: SECONDS_PER_LINE, inFlight, cpu }),
  );
  const results = await Promise.all(loads);
  return {
    replies: results.reduce((sum, { replies }) => sum + replies, 0),
    lost: results.reduce((sum, { lost }) => sum + lost, 0),
  };
}
