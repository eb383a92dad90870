import type { AccessCounts } from "../access/access_counts.ts";
import type { AccessOptions } from "../access/guarded_responder.ts";
import type { PlacedWorkers } from "../placement/placer.ts";
import type { WorkerConfig } from "./control_channel.ts";
import type { ServeLog } from "./serve_log.ts";
import type { WorkerProgram } from "./worker_process.ts";
import { WorkerSlot } from "./worker_slot.ts";

/** The workers of one server. */
export class Fleet {
  /** Settles when all workers have ended for good: rejects if one of them could not be kept alive. */
  readonly ended: Promise<void>;

  readonly #ended = Promise.withResolvers<void>();
  readonly #ending = new AbortController();
  readonly #slots: readonly WorkerSlot[];
  /** The start, or the last reload: each waits for the one before it. */
  #change: Promise<unknown> = Promise.resolve();

  /**
   * Makes a fleet whose workers have not started.
   *
   * @param program How workers are run.
   * @param configs The configuration of each worker, one at least.
   * @param log Receives a line for every death.
   */
  constructor(program: WorkerProgram, configs: readonly WorkerConfig[], log: ServeLog) {
    const onGiveUp = (error: unknown) => this.giveUp(error);
    this.#slots = configs.map((config) =>
      new WorkerSlot(config, { program, log, ending: this.#ending.signal, onGiveUp })
    );
    this.ended = this.#ended.promise;
    this.ended.catch(() => {}); // It may reject before anybody awaits it.
  }

  /** The configuration of each worker. */
  get configs(): WorkerConfig[] {
    return this.#slots.map(({ config }) => config);
  }

  /**
   * Starts all workers and waits until they serve. If the system is to choose the port that they share, the port of the
   * first worker becomes the others'.
   *
   * @throws {ServeError} If one of them dies before it serves.
   */
  start(): Promise<void> {
    const start = this.#startAll();
    this.#change = start;
    return start;
  }

  async #startAll(): Promise<void> {
    const [first, ...others] = this.#slots;
    if (first.config.backend === "reuseport" && first.config.port === 0) {
      await first.start();
      for (const { config } of others) config.port = first.config.port;
      await startAll(others);
    } else {
      await startAll(this.#slots);
    }
  }

  /** Makes {@linkcode ended} reject. */
  giveUp(error: unknown): void {
    this.#ended.reject(error);
  }

  /** Tells the workers that have no pool the mark of the reservation. */
  setMark(mark: number): void {
    for (const slot of this.#slots) slot.setMark(mark);
  }

  /** The last tick that any of the workers has used, or may begin with. It may be half a second old. */
  get usedTick(): number {
    return Math.max(...this.#slots.map(({ usedTick }) => usedTick));
  }

  /** After all workers have ended: the first tick that none has used; `undefined` if one of them could not say. */
  get firstUnusedTick(): number | undefined {
    const ticks = this.#slots.map(({ firstUnusedTick }) => firstUnusedTick);
    return ticks.every((tick) => tick !== undefined) ? Math.max(...ticks) : undefined;
  }

  /** What became of the datagrams of each worker that has no pool: the pool has the counts of the others. */
  get counts(): AccessCounts[] {
    return this.#slots.map(({ counts }) => counts);
  }

  /**
   * Whether all workers read what they are told, and answer it.
   *
   * @param timeoutMs How long they have to answer, in ms.
   */
  async answers(timeoutMs: number): Promise<boolean> {
    let isLate = false;
    const late = Promise.withResolvers<void>();
    const timer = setTimeout(() => {
      isLate = true;
      late.resolve();
    }, timeoutMs);
    await Promise.race([Promise.all(this.#slots.map((slot) => slot.answers())), late.promise]);
    clearTimeout(timer);
    return !isLate;
  }

  /** Why a worker that serves has kept its rights, if one could not give them up. */
  get unconfined(): string | undefined {
    return this.#slots.map(({ unconfined }) => unconfined).find((reason) => reason !== undefined);
  }

  /** The workers that are bound to an address, in the order of their configurations, to be placed. */
  workersOf(hostname: string): PlacedWorkers {
    const slots = this.#slots.filter(({ config }) => config.hostname === hostname);
    return {
      takeTraffic: () => slots.map((slot) => slot.takeTraffic()),
      setIncomingCpus: (cpus) => slots.forEach((slot, i) => slot.setIncomingCpu(cpus[i])),
    };
  }

  /**
   * Replaces the workers one by one without losing a request, once they have started. A worker whose successor dies
   * goes on.
   *
   * @param access Which clients get ids from the successors.
   * @returns Whether all workers were replaced.
   */
  reload(access: AccessOptions): Promise<boolean> {
    // Reloads run one after the other. One that failed does not keep the next from running.
    const reload = this.#change.catch(() => {}).then(async () => {
      let isComplete = true;
      for (const slot of this.#slots) isComplete = await slot.replace(access) && isComplete;
      return isComplete;
    });
    this.#change = reload;
    return reload;
  }

  /**
   * Lets all workers answer the datagrams that they have, while other processes get the new ones, until they have
   * ended.
   */
  async drain(): Promise<void> {
    this.#ending.abort();
    await Promise.all(this.#slots.map((slot) => slot.drain()));
    this.#ended.resolve();
  }

  /** Ends all workers and waits until they have ended. */
  async stop(): Promise<void> {
    this.#ending.abort();
    await Promise.all(this.#slots.map((slot) => slot.stop()));
    this.#ended.resolve();
  }
}

async function startAll(slots: readonly WorkerSlot[]): Promise<void> {
  await Promise.all(slots.map((slot) => slot.start()));
}
