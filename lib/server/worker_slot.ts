import { type AccessCounts, createAccessCounts } from "../access/access_counts.ts";
import type { AccessOptions } from "../access/guarded_responder.ts";
import { messageOf } from "../base/message_of.ts";
import { sleep } from "../base/sleep.ts";
import { LAYOUTS } from "../id/presets.ts";
import type { Traffic } from "../udp/reuseport.ts";
import type { WorkerConfig } from "./control_channel.ts";
import { MAX_DEATHS, RestartPolicy, WINDOW_MS } from "./restart_policy.ts";
import { ServeError } from "./serve_error.ts";
import type { ServeLog } from "./serve_log.ts";
import { WorkerProcess, type WorkerProgram } from "./worker_process.ts";

/** How long a restart waits at most for the first tick whose ids the worker may use, in ms. */
const MAX_TICK_WAIT_MS = 15_000;

/** The context that all slots of a server share. */
export interface SlotContext {
  /** How workers are run. */
  readonly program: WorkerProgram;
  /** Receives a line for every death. */
  readonly log: ServeLog;
  /** Aborts when the server ends: from then on, no worker is started or started again. */
  readonly ending: AbortSignal;
  /** Receives the error after which a worker is not started again. */
  readonly onGiveUp: (error: unknown) => void;
}

/** One of a server's workers: a process that is started again when it dies, and replaced on reload. */
export class WorkerSlot {
  /** The worker's configuration: the next process of this slot gets it as it is then. */
  readonly config: WorkerConfig;
  /** What became of the datagrams of all processes of this slot, if they have no pool: the pool has their counts. */
  readonly counts: AccessCounts = createAccessCounts();

  readonly #context: SlotContext;
  /** The process in this slot; a process that is being replaced has left it. */
  #worker: WorkerProcess | undefined;

  /**
   * Makes a slot without a process.
   *
   * @param config The configuration of the worker.
   * @param context The context that all slots share.
   */
  constructor(config: WorkerConfig, context: SlotContext) {
    this.config = config;
    this.#context = context;
  }

  /**
   * Starts the worker, waits until it serves, and puts its port into the configuration. From then on, the worker is
   * started again whenever it dies. Does nothing if the server is ending.
   *
   * @throws {ServeError} If the worker dies before it serves.
   */
  async start(): Promise<void> {
    if (this.#isEnding) return;
    const worker = this.#worker = this.#spawn(this.config);
    const port = await worker.ready;
    if (port === undefined) {
      const death = await worker.describeDeath();
      if (this.#isEnding) return;
      throw new ServeError(`worker ${this.config.worker} could not start: ${death}`);
    }
    this.config.port = port;
    this.#keepAlive(worker);
  }

  /**
   * Replaces the worker without losing a request: it goes on until its successor serves, and stays if the successor
   * dies.
   *
   * @param access Which clients get ids from the successor.
   * @returns Whether the worker was replaced.
   */
  async replace(access: AccessOptions): Promise<boolean> {
    if (this.#isEnding) return false;
    const successor = this.#spawn({ ...this.config, access });
    if (await successor.ready === undefined) {
      const death = await successor.describeDeath();
      this.#context.log.warn(`worker ${this.config.worker} could not be replaced: ${death}; the present one goes on`);
      return false;
    }
    const predecessor = this.#worker;
    this.config.access = access;
    this.#worker = successor;
    this.#keepAlive(successor);
    await predecessor?.drain();
    if (predecessor?.isBroken) {
      this.#context.log.warn(`${this.#nameOf(predecessor)}, which was replaced: ${predecessor.lastWords}`);
    }
    // If the server began to end meanwhile, it may have ended the predecessor instead of the successor.
    if (this.#isEnding) await successor.drain();
    return !this.#isEnding;
  }

  /** Tells a worker without a pool, and those that are started in its place, the mark of the reservation. */
  setMark(mark: number): void {
    const { share } = this.config;
    if (share.kind !== "subnode") return;
    share.reservation.mark = mark;
    this.#worker?.setMark(mark);
  }

  /** Makes the datagrams that arrive on a CPU this worker's, and those that are started in its place. */
  setIncomingCpu(incomingCpu: number): void {
    if (this.config.incomingCpu === incomingCpu) return;
    this.config.incomingCpu = incomingCpu;
    this.#worker?.setIncomingCpu(incomingCpu);
  }

  /** Why the worker has kept its rights, if it could not give them up. */
  get unconfined(): string | undefined {
    return this.#worker?.unconfined;
  }

  /** Waits until the worker has read a message and answered it; for ever if it does not. */
  async answers(): Promise<void> {
    await this.#worker?.answers();
  }

  /** Returns what the worker reported as received since the last call. */
  takeTraffic(): Traffic {
    return this.#worker?.takeTraffic() ?? { messages: 0, receives: 0 };
  }

  /**
   * The last tick that the worker reported as used, half a second ago at most, or the first that it may use if later.
   */
  get usedTick(): number {
    return Math.max(this.#worker?.usedTick ?? -1, firstTickOf(this.config));
  }

  /** The first tick that a worker that has ended did not use; `undefined` if it could not say. */
  get firstUnusedTick(): number | undefined {
    if (this.#worker === undefined) return firstTickOf(this.config);
    return this.#worker.isDone ? this.#worker.usedTick + 1 : undefined;
  }

  /** Lets the worker answer the datagrams that it has, and waits until it has ended. */
  async drain(): Promise<void> {
    await this.#worker?.drain();
  }

  /** Ends the worker, and waits until it has ended. */
  async stop(): Promise<void> {
    await this.#worker?.stop();
  }

  get #isEnding(): boolean {
    return this.#context.ending.aborted;
  }

  #nameOf({ pid }: WorkerProcess): string {
    return `worker ${this.config.worker} (process ${pid})`;
  }

  #spawn(config: WorkerConfig): WorkerProcess {
    try {
      return new WorkerProcess(this.#context.program, config, this.counts, this.#context.log);
    } catch (error) {
      throw new ServeError(`a worker cannot be started: ${explainSpawnError(error)}`, { cause: error });
    }
  }

  /** Starts the worker again whenever it dies, until it is replaced, the server ends, or it has died too often. */
  #keepAlive(worker: WorkerProcess): void {
    this.#restartOnDeath(worker).catch(this.#context.onGiveUp);
  }

  async #restartOnDeath(worker: WorkerProcess): Promise<void> {
    const policy = new RestartPolicy();
    const isOver = () => this.#isEnding || this.#worker !== worker;
    while (true) {
      const death = await worker.describeDeath();
      if (isOver()) return;
      const delayMs = policy.delayAfterDeath(performance.now());
      await this.#awaitRestart(this.#nameOf(worker), death, delayMs);
      if (isOver()) return;
      worker = this.#worker = this.#spawn(this.config);
    }
  }

  /** Reports a death, and waits until the worker is to be started again. */
  async #awaitRestart(who: string, death: string, delayMs: number | undefined): Promise<void> {
    if (delayMs === undefined) {
      const times = `${MAX_DEATHS} times in the last ${WINDOW_MS / 1000} s`;
      throw new ServeError(`${who} died, as it did ${times}: ${death}; not starting it again`);
    }
    beginAtMark(this.config);
    const waitMs = Math.max(delayMs, msUntilFirstTick(this.config));
    this.#context.log.warn(`${who} died: ${death}; starting it again in ${waitMs} ms`);
    await sleep(waitMs, this.#context.ending).catch(() => {}); // the caller looks whether the server is ending
  }
}

/** The first tick that a worker without a pool may use. */
function firstTickOf({ share }: WorkerConfig): number {
  return share.kind === "subnode" ? share.reservation.firstTick : -1;
}

/** Has the successor of a dead worker begin at the mark: the dead one may have used all ticks before it. */
function beginAtMark({ share }: WorkerConfig): void {
  if (share.kind === "subnode") share.reservation.firstTick = share.reservation.mark;
}

/**
 * How long until the clock is in the first tick that a worker may use, in ms. A worker that starts earlier would have
 * to refuse requests that the other workers can answer.
 */
function msUntilFirstTick(config: WorkerConfig): number {
  if (config.clockPolicy === "logical") return 0;
  const { epochMs, tickMs } = LAYOUTS[config.layout];
  const waitMs = epochMs + firstTickOf(config) * tickMs - Date.now();
  return Math.min(Math.max(waitMs, 0), MAX_TICK_WAIT_MS);
}

function explainSpawnError(error: unknown): string {
  const message = messageOf(error);
  if (/\(os error 24\)/.test(message)) return `${message}; raise their limit (ulimit -n)`; // EMFILE
  const isVariable = error instanceof Deno.errors.NotCapable && message.includes("environment variable");
  return isVariable ? `${message} With --allow-env, the server does so itself.` : message;
}
