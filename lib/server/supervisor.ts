import { allowedCpus } from "../placement/cpus.ts";
import { readAccess, warnIfOpen } from "./access_checks.ts";
import { announce, describeService } from "./announce.ts";
import { claimNode, joinRunningServer, shareOf } from "./claim_node.ts";
import { describeClock } from "./clock_sync.ts";
import { warnIfUnconfined } from "./confine_worker.ts";
import { Fleet } from "./fleet.ts";
import { planWorkers } from "./plan_workers.ts";
import type { ServeLog } from "./serve_log.ts";
import type { ServeOptions } from "./serve_options.ts";
import { Server } from "./server.ts";
import { ServiceManager } from "./service_manager.ts";
import {
  awaitEarlierWorkers,
  checkClock,
  checkPorts,
  checkRunPermission,
  checkSourceShare,
  checkTakeover,
  chooseBackend,
  warnOfOtherAddress,
  warnOfWithheldVariables,
} from "./startup_checks.ts";
import { defaultStateDir, openLock, openStateDir, openStore, tryLock } from "./state_dir.ts";

/** What the operator tells a running server. */
export interface ServeSignals {
  /** Aborts when the server is to stop. */
  readonly stop: AbortSignal;
  /** Registers the listener to call whenever the server is to replace its workers. */
  onReload(listener: () => void): void;
}

/**
 * Serves a node until it is told to stop, or another server takes over: reserves ticks ahead of the clock, starts a
 * worker for every CPU, and starts a worker again when it dies.
 *
 * @param options The options of the server.
 * @param entryPoint The module that runs as a worker when its first argument is `worker`.
 * @param signals What the operator tells the server.
 * @param log Receives the server's lines.
 * @throws {ServeError} If it cannot serve: a port or a node is taken, a permission is missing, or a worker dies again
 * and again.
 */
export async function supervise(
  options: ServeOptions,
  entryPoint: string,
  signals: ServeSignals,
  log: ServeLog,
): Promise<void> {
  checkRunPermission();
  const backend = chooseBackend(options.backend, log);
  warnOfOtherAddress(options, backend, log);
  warnOfWithheldVariables(log);
  const { cpus, whyNone } = await allowedCpus();
  if (whyNone !== undefined) log.warn(`the workers are not pinned to CPUs: ${whyNone}`);
  const workerCount = options.workers ?? navigator.hardwareConcurrency;
  const allWorkers = workerCount * options.hostnames.length;
  checkPorts(options, backend, workerCount);
  checkSourceShare(options, backend, allWorkers);
  const access = await readAccess(options, allWorkers);
  const clockSync = checkClock(options);

  const stateDir = await openStateDir(options.stateDir ?? defaultStateDir());
  using lock = await openLock(stateDir, options.nodeId, log);
  const isTakeover = !await tryLock(lock, log);
  if (isTakeover) await checkTakeover(options, backend, lock);
  else await awaitEarlierWorkers(options, backend, lock, log);
  if (signals.stop.aborted) return;

  await using store = await openStore(stateDir, log);
  const claim = { options, backend, store, stateDir, log };
  const node = isTakeover ? await joinRunningServer(claim) : await claimNode(claim);
  const share = shareOf(node, allWorkers);
  const configs = planWorkers({ options, backend, workerCount, cpus, share, access });
  const fleet = new Fleet({ entryPoint, workersPath: lock.workersPath }, configs, log);
  const server = new Server({ options, node, fleet, log });

  using manager = new ServiceManager(log);
  signals.stop.addEventListener("abort", () => {
    manager.stopping();
    server.endWorkers();
  }, { once: true });
  signals.onReload(() => manager.reloading(() => server.reload()));
  try {
    if (signals.stop.aborted) await server.endWorkers(); // so that none is started
    await (isTakeover ? server.takeOver(lock, signals.stop) : server.start());
    if (!signals.stop.aborted && !server.isTakenOver) {
      log.info(describeClock(clockSync));
      warnIfOpen(options, log);
      warnIfUnconfined(fleet, log);
      announce(options, configs, log);
      manager.ready(describeService(options, configs));
      manager.watch(() => server.isServing());
    }
    await server.run();
  } finally {
    await server.end();
  }
  if (server.isTakenOver) log.info("another server serves in place of this one");
}
