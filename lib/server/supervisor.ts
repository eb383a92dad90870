import type { AccessOptions } from "../access/guarded_responder.ts";
import { LAYOUTS } from "../id/presets.ts";
import type { NodeLock } from "../node/node_lock.ts";
import { allowedCpus } from "../placement/cpus.ts";
import { CpuUse } from "../placement/cpu_use.ts";
import { Placer } from "../placement/placer.ts";
import { NodeHeldError } from "../reservation/errors.ts";
import { ReservationKeeper } from "../reservation/keeper.ts";
import { SqliteThreadStore } from "../reservation/stores/sqlite_thread_store.ts";
import { readAccess, warnIfOpen } from "./access_checks.ts";
import { checkDrift, describeClock, readClockSync } from "./clock_sync.ts";
import type { WorkerConfig, WorkerShare } from "./control_channel.ts";
import { Fleet } from "./fleet.ts";
import { ReservationReport } from "./reservation_report.ts";
import { ServeError, type ServeLog } from "./serve_error.ts";
import type { Backend, ServeOptions } from "./serve_options.ts";
import {
  checkPortIsFree,
  checkPorts,
  checkRunPermission,
  chooseBackend,
  defaultStateDir,
  openLock,
} from "./startup_checks.ts";
import { shareOf, takeNode, type Tenure } from "./take_node.ts";

/** What a server is told while it runs. */
export interface ServeSignals {
  /** To end. */
  readonly stop: AbortSignal;
  /** Has the listener called whenever the server is to replace its workers. */
  onReload(listener: () => void): void;
}

/** The server's pool is another server's now, which was started to replace this one. */
class ReplacedError extends Error {}

/** After how long a server that was replaced should have ended, in ms: it finds out within a second, or three if its store is slow. */
const LOCK_TIMEOUT_MS = 10_000;

/** How long to wait for workers of an earlier server, in ms. They notice within a tenth of a second that it is gone. */
const WORKERS_TIMEOUT_MS = 1000;

/**
 * Serves a node until it is told to stop, or replaced by another server: reserves ticks ahead of the clock, starts a worker for every
 * CPU, and starts a worker again that dies.
 *
 * @param options What to serve.
 * @param entryPoint The module that is a worker when its first argument is `worker`.
 * @param signals What it is told meanwhile.
 * @param log Where lines go.
 * @throws {ServeError} If it cannot serve: a port or a node that is taken, a permission that is missing, or a worker that
 * dies again and again.
 */
export async function supervise(
  options: ServeOptions,
  entryPoint: string,
  signals: ServeSignals,
  log: ServeLog,
): Promise<void> {
  checkRunPermission();
  const backend = chooseBackend(options.backend, log);
  const cpus = await allowedCpus();
  if (cpus === undefined) log.warn("there is no taskset (util-linux) here: the workers are not pinned to CPUs");
  const workerCount = options.workers ?? navigator.hardwareConcurrency;
  checkPorts(options, backend, workerCount);
  const access = await readAccess(options, workerCount);
  const clockSync = readClockSync();
  checkClock(options);

  const stateDir = options.stateDir ?? defaultStateDir();
  using lock = await openLock(stateDir, options.nodeId);
  const isTakeover = !await lock.tryAcquire();
  if (isTakeover) await checkTakeover(options, backend, lock);
  else await waitForWorkers(options, backend, lock, log);
  await using store = await openStore(stateDir);
  const tenure = await takeNode({ options, backend, isTakeover, store, stateDir, log });
  const { pool } = tenure;

  const configs = planWorkers(options, backend, workerCount, cpus, shareOf(tenure, workerCount), access);
  const fleet = new Fleet({ entryPoint, workersPath: lock.workersPath }, configs, log);
  const replaced = Promise.withResolvers<boolean>();
  const keep = () => keepReservation(tenure, fleet, options, log, () => replaced.resolve(true));
  let keeper = isTakeover ? undefined : keep();
  // Whoever else has the pool serves beside this server: what its workers have got is to be answered, and the rest goes to the others.
  const end = () => pool === undefined || pool.isOwned ? fleet.stop() : fleet.drain();
  signals.stop.addEventListener("abort", end, { once: true });
  signals.onReload(() => reload(fleet, options, configs, log));
  if (signals.stop.aborted) end();
  let isReplaced = false;
  try {
    await fleet.start();
    if (isTakeover && !signals.stop.aborted) {
      if (!pool!.own()) {
        throw new ServeError("the server that was to be replaced has ended meanwhile: start this one again");
      }
      keeper = keep();
      await takeLock(lock, signals.stop, log);
    }
    using _placer = startPlacer(fleet, configs);
    if (!signals.stop.aborted) {
      log.info(describeClock(clockSync));
      warnIfOpen(options, log);
      announce(options, configs, log);
    }
    isReplaced = await Promise.race([fleet.ended.then(() => false), replaced.promise]);
  } finally {
    await end();
    // What the pool does not give out any more is the next one's. It is not this server's to close if that is not its own.
    if (pool === undefined) await keeper?.release(fleet.firstUnusedTick);
    else if (pool.close()) await keeper?.release(pool.firstUnusedTick);
    else await keeper?.stop();
  }
  if (isReplaced) log.info("another server serves in place of this one");
}

/** What each worker is to do. */
function planWorkers(
  { nodeId, layout, hostname, port, clockPolicy }: ServeOptions,
  backend: Backend,
  count: number,
  cpus: number[] | undefined,
  share: WorkerShare,
  access: AccessOptions,
): WorkerConfig[] {
  return Array.from({ length: count }, (_, worker) => ({
    ...{ nodeId, worker, layout, backend, hostname, clockPolicy, access },
    share: structuredClone(share),
    port: backend === "listen-datagram" && port > 0 ? port + worker : port,
    cpu: cpus?.[worker % cpus.length],
    incomingCpu: cpus?.[worker % cpus.length],
  }));
}

/** Makes sure that the clock is as true as it was asked for. */
function checkClock({ maxDriftMs }: ServeOptions): void {
  try {
    checkDrift(maxDriftMs, readClockSync());
  } catch (error) {
    throw new ServeError((error as Error).message);
  }
}

/** Makes sure that the server that has the node is to be replaced, and can be. */
async function checkTakeover({ nodeId, isReplacing }: ServeOptions, backend: Backend, lock: NodeLock): Promise<void> {
  if (!isReplacing) {
    throw new ServeError(
      `node ${nodeId} is being served already, by process ${await lock.holder()}: ` +
        "stop that one, replace it with --replace, or choose another --node-id",
    );
  }
  if (backend !== "reuseport") throw new ServeError(`--replace needs the backend reuseport, and this is ${backend}`);
}

/** Waits until the server that was replaced has ended, and says so if that takes long. */
async function takeLock(lock: NodeLock, stop: AbortSignal, log: ServeLog): Promise<void> {
  const holder = await lock.holder();
  const timer = setTimeout(
    () => log.warn(`this server serves the node, but process ${holder}, which did, has not ended: end it with kill -9`),
    LOCK_TIMEOUT_MS,
  );
  await lock.acquire(stop);
  clearTimeout(timer);
}

/** Lets workers of an earlier server end, which still have the port for a moment. */
async function waitForWorkers(options: ServeOptions, backend: Backend, lock: NodeLock, log: ServeLog): Promise<void> {
  const haveEnded = await lock.workersEnded(WORKERS_TIMEOUT_MS);
  if (!haveEnded) {
    log.warn(
      `workers of an earlier server of node ${options.nodeId} are still there (they hold ${lock.workersPath}): ` +
        "what reaches them may stay without answer until they are ended",
    );
  } else if (backend === "reuseport" && options.port > 0) {
    checkPortIsFree(options);
  }
}

async function openStore(stateDir: string): Promise<SqliteThreadStore> {
  try {
    return await SqliteThreadStore.open(`${stateDir}/reservations.sqlite`);
  } catch (error) {
    throw new ServeError((error as Error).message);
  }
}

/** Reserves on in the background, and tells whoever must know. */
function keepReservation(
  { holder, pool }: Tenure,
  fleet: Fleet,
  options: ServeOptions,
  log: ServeLog,
  onReplaced: () => void,
): ReservationKeeper {
  const report = new ReservationReport(options, log);
  const usedTick = () => pool === undefined ? fleet.usedTick : pool.position.tick;
  return new ReservationKeeper(holder, {
    check: () => {
      if (pool !== undefined && !pool.isOwned) throw new ReplacedError();
      checkDrift(options.maxDriftMs, readClockSync());
    },
    usedTick: () => options.clockPolicy === "logical" ? usedTick() : -1,
    onMark: (mark) => {
      pool?.extend(mark);
      fleet.setMark(mark);
      report.onMark(mark, holder.aheadMs);
    },
    onError: (error) => {
      if (error instanceof ReplacedError) return onReplaced();
      report.onError(error, holder.mark);
      if (error instanceof NodeHeldError) fleet.giveUp(error.message);
    },
  });
}

/** Replaces the workers by ones that know what has changed in the files that the options name. */
async function reload(fleet: Fleet, options: ServeOptions, configs: WorkerConfig[], log: ServeLog): Promise<void> {
  if (configs[0].backend !== "reuseport") {
    return log.warn(
      `workers of the backend ${configs[0].backend} cannot be replaced, since each has its port to itself`,
    );
  }
  try {
    await fleet.reload(await readAccess(options, configs.length));
    log.info("the workers have been replaced");
  } catch (error) {
    log.warn(`the workers go on as they are: ${(error as Error).message}`);
  }
}

/** Only for workers of which each has a CPU of its own, and where it can be told what those do. */
function startPlacer(fleet: Fleet, configs: WorkerConfig[]): Placer | undefined {
  const cpus = configs.map(({ cpu }) => cpu).filter((cpu) => cpu !== undefined);
  const isPlaced = configs[0].backend === "reuseport" && configs.length > 1 && new Set(cpus).size === configs.length;
  return isPlaced && CpuUse.isKnown(cpus) ? new Placer(fleet, cpus) : undefined;
}

function announce({ nodeId, hostname, layout, keyFile }: ServeOptions, configs: WorkerConfig[], log: ServeLog): void {
  const { backend } = configs[0];
  const ports = [...new Set(configs.map(({ port }) => port))];
  const { maxSequence, tickMs } = LAYOUTS[layout];
  const perSecond = ((maxSequence + 1) * 1000 / tickMs).toLocaleString("en");
  const cpus = configs.map(({ cpu }) => cpu);
  const pinned = cpus.every((cpu) => cpu !== undefined) ? `on CPUs ${[...new Set(cpus)].join(", ")}` : "not pinned";
  log.info(
    `node ${nodeId} on ${hostname} udp port ${ports.join(", ")}: ${configs.length} worker${
      configs.length === 1 ? "" : "s"
    } (${backend}, ${pinned}), ` +
      `up to ${perSecond} ids a second (layout ${layout})`,
  );
  const isDefaultHost = ["127.0.0.1", "0.0.0.0", "::"].includes(hostname);
  const flags = [
    ...(isDefaultHost ? [] : ["--host", hostname]),
    ...["--port", ports.join(",")],
    ...(keyFile === undefined ? [] : ["--key-file", /^[\w./~-]+$/.test(keyFile) ? keyFile : `'${keyFile}'`]),
  ];
  log.info(`try it: deno task id ${flags.join(" ")}`);
}
