import { TempDir } from "../../testing/temp_dir.ts";
import { type LoadOptions, type LoadResult, runLoad } from "../reference/run_load.ts";
import { sleep, unlessStopped } from "../stop.ts";
import type { Sample } from "./figures.ts";
import type { IdLedger } from "./id_ledger.ts";
import type { Lab } from "./lab.ts";
import { cpuSeconds } from "./process_stats.ts";
import type { Target } from "./target.ts";

/** Load processes that start this early in a second, in ms, all begin to measure with the next one. */
const LATEST_START_MS = 350;

/** How far CPU time is counted from within the measured seconds, in ms. */
const MARGIN_MS = 50;

/** How often to try: a virtual machine can be stopped for longer than the measurement takes. */
const ATTEMPTS = 3;

/** Within this time, in s, our server sees which CPUs are saturated, and has other workers take their datagrams. */
export const PLACEMENT_SECONDS = 2;

/** So long, in s, the load processes take until all of them ask. */
const MIN_WARM_UP_SECONDS = 0.5;

/** As many requests a socket has in flight at most: the system's default buffer takes about 190 datagrams. */
const MAX_IN_FLIGHT_PER_SOCKET = 64;

/** The task of one load process. */
export type LoadShape = Omit<LoadOptions, "port" | "seconds" | "warmup" | "ids">;

/** How long load is to run. */
export interface LoadTimes {
  /** How long to measure, in s. Default: the lab's. */
  seconds?: number;
  /**
   * How long to ask before that at least, in s; the measurement then begins with the next second of the clock. Default,
   * and where a few figures will do: half a second.
   */
  warmUpSeconds?: number;
}

/** The answers to all load processes in one second of the clock. */
export interface LoadSecond {
  ok: number;
  refused: number;
  ids: number;
}

/** The answers to load processes. */
export interface Load {
  /** As figures. */
  sample: Sample;
  /** Second by second, whole ones only. */
  perSecond: LoadSecond[];
}

/**
 * The load on a server with so many workers: for one, a process on the CPU next to its own; for more, a process on the
 * CPU of each.
 *
 * @param inFlight How many requests are in flight in all, at least one a process.
 */
export function loadShapes(lab: Lab, workers: number, inFlight: number): LoadShape[] {
  const each = Math.max(Math.floor(inFlight / workers), 1);
  const sockets = Math.ceil(each / MAX_IN_FLIGHT_PER_SOCKET);
  return Array.from({ length: workers }, (_, i) => ({
    cpu: lab.cpu(workers === 1 ? 1 : i),
    sockets,
    inFlight: each / sockets,
  }));
}

/**
 * Runs load processes together on one server, and checks that no id of this project's comes twice.
 *
 * @param shapes The task of each process.
 * @param times How long.
 * @returns The answers that they got.
 * @throws {Error} If an id came twice, an answer broke the protocol, or no id came.
 */
export async function runLoads(
  lab: Lab,
  target: Target,
  shapes: LoadShape[],
  times: LoadTimes = {},
): Promise<Load> {
  for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
    const { results, cpu } = await runOnce(lab, target, shapes, times);
    const perSecond = commonSeconds(results);
    if (sumOf(perSecond, "ids") === 0) continue;
    const sample: Sample = { ...loadFigures(results, perSecond), ...cpu, attempts: attempt };
    const { workerCpuShare, repliesPerSecond } = sample;
    if (workerCpuShare !== undefined) sample.workerUsPerReply = workerCpuShare / repliesPerSecond * 1e6;
    return { sample, perSecond };
  }
  throw new Error("the server gives out no ids");
}

async function runOnce(lab: Lab, target: Target, shapes: LoadShape[], times: LoadTimes) {
  const { isQuick } = lab.options;
  const { seconds = lab.options.seconds } = times;
  const warmUpSeconds = isQuick ? MIN_WARM_UP_SECONDS : times.warmUpSeconds ?? MIN_WARM_UP_SECONDS;
  const program = lab.reference.load;
  await using directory = await TempDir.make();
  await sleep(msUntilStart());
  const beginMs = Math.ceil(Date.now() / 1000 + warmUpSeconds) * 1000;
  // The ids of the server in C are kept as well, so that the load generator has the same to do; nobody checks them.
  const runs = shapes.map((shape, i) =>
    runLoad(program, { port: target.port, seconds, warmup: warmUpSeconds, ids: `${directory.path}/${i}`, ...shape })
  );
  const [cpu, ...results] = await unlessStopped(
    Promise.all([cpuShares(target, beginMs + MARGIN_MS, beginMs + seconds * 1000 - MARGIN_MS), ...runs]),
  );
  for (const [i, { invalid }] of results.entries()) {
    if (invalid > 0) throw new Error(`${invalid} answers were none that the protocol allows`);
    if (target.own !== undefined) await addTo(target.own.ledger, `${directory.path}/${i}`, shapes[i].protocol);
  }
  return { results, cpu };
}

function msUntilStart(): number {
  const ms = Date.now() % 1000;
  return ms <= LATEST_START_MS ? 0 : 1000 - ms;
}

/** The shares of a CPU that the server's processes use between two times of the clock; only of this project's. */
async function cpuShares({ own }: Target, beginMs: number, endMs: number): Promise<Sample> {
  if (own === undefined) return {};
  const read = () => Promise.all([performance.now() / 1000, cpuSeconds(own.workerPids), cpuSeconds([own.server.pid])]);
  await sleep(beginMs - Date.now());
  const before = await read();
  await sleep(endMs - Date.now());
  const after = await read();
  const [elapsed, workers, supervisor] = after.map((value, i) => value - before[i]);
  // Else the machine was stopped, and this is not about the measured seconds.
  if (elapsed * 1000 < (endMs - beginMs) / 2) return {};
  return { workerCpuShare: workers / elapsed, supervisorCpuShare: supervisor / elapsed };
}

async function addTo(ledger: IdLedger, path: string, protocol: LoadShape["protocol"]): Promise<void> {
  const words = new BigUint64Array((await Deno.readFile(path)).buffer);
  if (protocol === "range") ledger.addRanges(words);
  else ledger.addIds(words);
}

/** The sums of the seconds that all of them measured. */
function commonSeconds(results: LoadResult[]): LoadSecond[] {
  const bySecond = Map.groupBy(results.flatMap(({ perSecond }) => perSecond), ({ second }) => second);
  const common = [...bySecond.values()].filter((parts) => parts.length === results.length);
  return common.map((parts) => ({
    ok: sumOf(parts, "ok"),
    refused: sumOf(parts, "refused"),
    ids: sumOf(parts, "ids"),
  }));
}

function loadFigures(results: LoadResult[], perSecond: LoadSecond[]): Sample {
  const longest = (figure: (result: LoadResult) => number | undefined) =>
    Math.max(...results.map((result) => figure(result) ?? 0));
  return {
    repliesPerSecond: repliesOf(perSecond) / perSecond.length,
    idsPerSecond: sumOf(perSecond, "ids") / perSecond.length,
    // Of several load processes, the one that waited longest.
    p50Us: longest(({ latencyUs }) => latencyUs?.p50),
    p99Us: longest(({ latencyUs }) => latencyUs?.p99),
    p999Us: longest(({ latencyUs }) => latencyUs?.p999),
    // How late the load generator was itself, which counts as the server's; only where requests come at a rate.
    ...results.some(({ sendDelayUs }) => sendDelayUs !== null) &&
      { sendDelayP99Us: longest(({ sendDelayUs }) => sendDelayUs?.p99) },
    lost: results.reduce((sum, { lost }) => sum + lost, 0),
    loadCpuShare: longest(({ cpuUtilization }) => cpuUtilization),
  };
}

function repliesOf(perSecond: LoadSecond[]): number {
  return sumOf(perSecond, "ok") + sumOf(perSecond, "refused");
}

function sumOf(parts: LoadSecond[], name: keyof LoadSecond): number {
  return parts.reduce((sum, part) => sum + part[name], 0);
}
