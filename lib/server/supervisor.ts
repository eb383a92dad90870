import { GlobalIdError } from "../base/errors.ts";
import { sleep } from "../base/sleep.ts";
import { ServeError } from "./serve_error.ts";
import { readAccess, warnOfDefaultCluster } from "./access_checks.ts";
import { allowedCpus } from "../placement/cpus.ts";
import { hostInfo, hostName } from "./host_info.ts";
import { ordinalNode } from "./node_choice.ts";
import { openStore } from "./open_store.ts";
import type { ServeLog } from "./serve_log.ts";
import { LostNodeError, serveNode, type ServerSetting, type ServeSignals } from "./serve_node.ts";
import type { ServeOptions } from "./serve_options.ts";
import { ServiceManager } from "./service_manager.ts";
import {
  checkClock,
  checkPorts,
  checkRunPermission,
  checkSourceShare,
  chooseBackend,
  warnOfOtherAddress,
  warnOfWithheldVariables,
} from "./startup_checks.ts";
import { defaultStateDir, openStateDir } from "./state_dir.ts";
import { takeAnyNode, type TakenNode, takeNode, type TakeOptions } from "./take_node.ts";

/** How long a server that has lost its node waits before it looks for another one again, in ms. */
const RETRY_MS = 1000;

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
  await readAccess(options, allWorkers);
  warnOfDefaultCluster(options, log);
  const clockSync = checkClock(options);

  const stateDir = await openStateDir(options.stateDir ?? defaultStateDir());
  await using store = await openStore(options.store, stateDir, log);
  const manager = new ServiceManager(log);
  signals.stop.addEventListener("abort", () => manager.stopping(), { once: true });
  const info = hostInfo(options);
  const take = { options, backend, store, stateDir, log, info, signal: signals.stop, trustStore: options.trustStore };
  const setting = { entryPoint, signals, log, backend, workerCount, cpus, clockSync, manager };
  try {
    if (options.node === "auto") await serveAnyNode(take, setting);
    else await serveOneNode(take, setting);
  } catch (error) {
    if (!isStop(error, signals.stop)) throw explained(error);
  }
}

/** Whether an error says only that the operator stopped the server while it waited for a node. */
function isStop(error: unknown, stop: AbortSignal): boolean {
  return stop.aborted && (error === stop.reason || error instanceof ServeError && error.cause === stop.reason);
}

/** What the store or a claim says is for the operator, who gets the message and no stack. */
function explained(error: unknown): unknown {
  return error instanceof GlobalIdError && !(error instanceof ServeError)
    ? new ServeError(error.message, { cause: error })
    : error;
}

async function serveOneNode(take: TakeOptions, setting: ServerSetting): Promise<void> {
  const { options } = take;
  const nodeId = typeof options.node === "number" ? options.node : ordinalNode(options, hostName());
  const taken = await takeNode(take, nodeId);
  using _ = taken.lock;
  await serveNode(taken, setting);
}

/** Serves one node after the other: another one whenever a holder on another machine has taken the last one. */
async function serveAnyNode(take: TakeOptions, setting: ServerSetting): Promise<void> {
  let { options } = take;
  let takeNext = takeAnyNode;
  while (true) {
    const taken = await takeNext({ ...take, options });
    using _ = taken.lock;
    try {
      return await serveNode(taken, setting);
    } catch (error) {
      if (!(error instanceof LostNodeError)) throw error;
      setting.log.warn(`${error.message}; looking for another node`);
      options = { ...options, port: error.port, isReplacing: false };
      takeNext = takeAnother;
    }
  }
}

/** Takes another node than the one that was lost, as soon as there is one: a server that served goes on trying. */
async function takeAnother(take: TakeOptions): Promise<TakenNode> {
  let hasWarned = false;
  while (true) {
    try {
      return await takeAnyNode(take);
    } catch (error) {
      if (take.signal.aborted || !(error instanceof GlobalIdError)) throw error;
      if (!hasWarned) take.log.warn(`no node can be had: ${error.message}; trying again until one can`);
      hasWarned = true;
    }
    await sleep(RETRY_MS, take.signal);
  }
}
