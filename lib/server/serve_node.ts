import { readAccess, warnIfOpen } from "./access_checks.ts";
import { announce, describeService } from "./announce.ts";
import { shareOf } from "./claim_node.ts";
import { type ClockSync, describeClock } from "./clock_sync.ts";
import { warnIfUnconfined } from "./confine_worker.ts";
import { NodeHeldError } from "../reservation/errors.ts";
import { ServeError } from "./serve_error.ts";
import { Fleet } from "./fleet.ts";
import { planWorkers } from "./plan_workers.ts";
import type { ServeLog } from "./serve_log.ts";
import type { Backend } from "./serve_options.ts";
import { Server } from "./server.ts";
import type { ServiceManager } from "./service_manager.ts";
import type { TakenNode } from "./take_node.ts";

/** What the operator tells a running server. */
export interface ServeSignals {
  /** Aborts when the server is to stop. */
  readonly stop: AbortSignal;
  /** Registers the listener to call whenever the server is to replace its workers. */
  onReload(listener: () => void): void;
}

/** The facts of a server that stay the same, whichever node it serves. */
export interface ServerSetting {
  /** The module that runs as a worker when its first argument is `worker`. */
  readonly entryPoint: string;
  /** What the operator tells the server. */
  readonly signals: ServeSignals;
  /** Receives the server's lines. */
  readonly log: ServeLog;
  /** The kind of the workers' sockets. */
  readonly backend: Backend;
  /** How many workers to run for each address. */
  readonly workerCount: number;
  /** The CPUs to pin workers to, in turn; `undefined`: none. */
  readonly cpus: number[] | undefined;
  /** What the kernel knows about the clock. */
  readonly clockSync: ClockSync | undefined;
  /** The service manager. */
  readonly manager: ServiceManager;
}

/** A holder on another machine has taken the node, and this server's workers have ended. */
export class LostNodeError extends ServeError {
  /** The name of the class. */
  override name = "LostNodeError";
  /** The port that the workers had: the first one's, if each had a port of its own. */
  readonly port: number;

  /**
   * Makes the error.
   *
   * @param error Why the workers have ended.
   * @param port The port that they had.
   */
  constructor(error: ServeError, port: number) {
    super(error.message, { cause: error.cause });
    this.port = port;
  }
}

/**
 * Serves a node until the server is told to stop, or another one takes over; then gives the node back.
 *
 * @param taken The node.
 * @param setting The facts of the server.
 * @throws {LostNodeError} If a holder on another machine has taken the node.
 * @throws {ServeError} If the server cannot serve.
 */
export async function serveNode({ options, lock, node, isTakeover }: TakenNode, setting: ServerSetting): Promise<void> {
  const { entryPoint, signals, log, backend, workerCount, cpus, clockSync, manager } = setting;
  const allWorkers = workerCount * options.hostnames.length;
  const access = await readAccess(options, allWorkers);
  const configs = planWorkers({ options, backend, workerCount, cpus, share: shareOf(node, allWorkers), access });
  const fleet = new Fleet({ entryPoint, workersPath: lock.workersPath }, configs, log);
  const server = new Server({ options, node, fleet, log });

  using until = new DisposableStack();
  const stop = () => void server.endWorkers();
  signals.stop.addEventListener("abort", stop);
  until.defer(() => signals.stop.removeEventListener("abort", stop));
  signals.onReload(() => manager.reloading(() => server.reload()));
  try {
    if (signals.stop.aborted) await server.endWorkers(); // so that none is started
    await (isTakeover ? server.takeOver(lock, signals.stop) : server.start(signals.stop));
    if (!signals.stop.aborted && !server.isTakenOver) {
      log.info(describeClock(clockSync));
      warnIfOpen(options, log);
      warnIfUnconfined(fleet, log);
      announce(options, configs, log);
      manager.ready(describeService(options, configs));
      until.use(manager.watch(() => server.isServing()));
    }
    await server.run();
  } catch (error) {
    const isLost = error instanceof ServeError && error.cause instanceof NodeHeldError;
    throw isLost ? new LostNodeError(error, configs[0].port) : error;
  } finally {
    await server.end();
  }
  if (server.isTakenOver) log.info("another server serves in place of this one");
}
