import { LAYOUTS } from "../id/presets.ts";
import { NodeHeldError } from "../reservation/errors.ts";
import { ReservationHolder } from "../reservation/holder.ts";
import { ReservationKeeper } from "../reservation/keeper.ts";
import { SqliteReservationStore } from "../reservation/stores/sqlite_store.ts";
import { readAccess, warnIfOpen } from "./access_checks.ts";
import type { WorkerConfig } from "./control_channel.ts";
import { allowedCpus } from "../placement/cpus.ts";
import { checkDrift, describeClock, readClockSync } from "./clock_sync.ts";
import { CpuUse } from "../placement/cpu_use.ts";
import { Fleet } from "./fleet.ts";
import { lockNode } from "../node/node_lock.ts";
import { Placer } from "../placement/placer.ts";
import { ReservationReport } from "./reservation_report.ts";
import { ServeError, type ServeLog } from "./serve_error.ts";
import { SharedSequencePool } from "../node/shared_sequence_pool.ts";
import type { ServeOptions } from "./serve_options.ts";
import {
  checkPortIsFree,
  checkRunPermission,
  chooseBackend,
  defaultStateDir,
  explainStateError,
} from "./startup_checks.ts";

/**
 * Serves a node until it is told to stop: reserves ticks ahead of the clock, starts a worker for every CPU, and starts a worker
 * again that dies.
 *
 * @param options What to serve.
 * @param entryPoint The module that is a worker when its first argument is `worker`.
 * @param stop When to stop.
 * @param log Where lines go.
 * @throws {ServeError} If it cannot serve: a port or a node that is taken, a permission that is missing, or a worker that
 * dies again and again.
 */
export async function supervise(
  options: ServeOptions,
  entryPoint: string,
  stop: AbortSignal,
  log: ServeLog,
): Promise<void> {
  checkRunPermission();
  const backend = chooseBackend(options.backend, log);
  const cpus = await allowedCpus();
  if (cpus === undefined) log.warn("there is no taskset (util-linux) here: the workers are not pinned to CPUs");
  const count = options.workers ?? navigator.hardwareConcurrency;
  if (backend === "listen-datagram" && options.port > 0 && options.port + count - 1 > 65_535) {
    throw new ServeError(`${count} workers from port ${options.port} on would go past port 65535: take a lower --port`);
  }
  const access = await readAccess(options, count);
  const stateDir = options.stateDir ?? defaultStateDir();
  using lock = await lockNode(stateDir, options.nodeId).catch((error) => {
    throw new ServeError(explainStateError(error, stateDir));
  });
  if (backend === "reuseport" && options.port > 0) checkPortIsFree(options);

  const clockSync = readClockSync();
  try {
    checkDrift(options.maxDriftMs, clockSync);
  } catch (error) {
    throw new ServeError((error as Error).message);
  }
  const layout = LAYOUTS[options.layout];
  const isLogical = options.clockPolicy === "logical";
  using store = openStore(stateDir);
  // The lock has made sure that no other holder on this machine is left, so nobody has to be waited for.
  const holderOptions = {
    ...{ store, nodeId: options.nodeId, layout, name: crypto.randomUUID() },
    ...{ clock: Date, monotonicClock: performance },
  };
  const holder = await ReservationHolder.take(holderOptions, isLogical).catch((error) => {
    throw new ServeError(error.message);
  });
  const sequencePool = backend === "reuseport" ? SharedSequencePool.create(layout, holder.firstTick) : undefined;
  const configs = Array.from({ length: count }, (_, i): WorkerConfig => ({
    nodeId: options.nodeId,
    worker: i,
    workerCount: count,
    ...(sequencePool === undefined ? {} : { sequencePoolPath: sequencePool.path }),
    layout: options.layout,
    backend,
    hostname: options.hostname,
    port: backend === "listen-datagram" && options.port > 0 ? options.port + i : options.port,
    cpu: cpus?.[i % cpus.length],
    incomingCpu: cpus?.[i % cpus.length],
    clockPolicy: options.clockPolicy,
    access,
    reservation: { firstTick: holder.firstTick, endTick: holder.mark },
  }));
  const fleet = new Fleet({ entryPoint, workersPath: lock.workersPath }, configs, log);
  const report = new ReservationReport(options, log);
  report.onMark(holder.mark, holder.aheadMs);
  const keeper = new ReservationKeeper(holder, {
    check: () => checkDrift(options.maxDriftMs, readClockSync()),
    usedTick: () => isLogical ? fleet.usedTick : -1,
    onMark: (mark) => (fleet.setMark(mark), report.onMark(mark, holder.aheadMs)),
    onError: (error) => {
      report.onError(error, holder.mark);
      if (error instanceof NodeHeldError) fleet.giveUp(error.message);
    },
  });
  stop.addEventListener("abort", () => fleet.stop(), { once: true });
  if (stop.aborted) fleet.stop();
  try {
    await fleet.start();
    using _placer = startPlacer(fleet, configs);
    if (!stop.aborted) {
      log.info(describeClock(clockSync));
      warnIfOpen(options, log);
      announce(options, configs, log);
    }
    await fleet.ended;
  } finally {
    await fleet.stop();
    await keeper.stop();
  }
}

/** Only for workers of which each has a CPU of its own, and where it can be told what those do. */
function startPlacer(fleet: Fleet, configs: WorkerConfig[]): Placer | undefined {
  const cpus = configs.map(({ cpu }) => cpu).filter((cpu) => cpu !== undefined);
  const isPlaced = configs[0].backend === "reuseport" && configs.length > 1 && new Set(cpus).size === configs.length;
  return isPlaced && CpuUse.isKnown(cpus) ? new Placer(fleet, cpus) : undefined;
}

function openStore(stateDir: string): SqliteReservationStore {
  try {
    return new SqliteReservationStore(`${stateDir}/reservations.sqlite`);
  } catch (error) {
    throw new ServeError((error as Error).message);
  }
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
    ...(keyFile === undefined ? [] : ["--key-file", keyFile]),
  ];
  log.info(`try it: deno task id ${flags.join(" ")}`);
}
