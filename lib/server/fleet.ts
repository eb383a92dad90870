import type { AccessOptions } from "../access/guarded_responder.ts";
import type { TickRange } from "../id/id_sequencer_options.ts";
import { LAYOUTS } from "../id/presets.ts";
import type { Traffic } from "../udp/reuseport.ts";
import type { WorkerConfig } from "./control_channel.ts";
import { MAX_DEATHS, RestartPolicy, WINDOW_MS } from "./restart_policy.ts";
import { ServeError, type ServeLog } from "./serve_error.ts";
import { WorkerProcess, type WorkerProgram } from "./worker_process.ts";

/** How long a worker is held back at most until there are ids for it, in ms. */
const MAX_WAIT_MS = 15_000;

/** The workers of one server. */
export class Fleet {
  /** Settles when all workers have ended for good: rejects if that is because one cannot be kept alive. */
  readonly ended: Promise<void>;

  readonly #ended = Promise.withResolvers<void>();
  readonly #stopping = new AbortController();
  /** The worker at each place; one that is being replaced is not there any more. */
  readonly #workers = new Map<WorkerConfig, WorkerProcess>();
  #reloaded: Promise<void> = Promise.resolve();

  constructor(
    private readonly program: WorkerProgram,
    private readonly configs: WorkerConfig[],
    private readonly log: ServeLog,
  ) {
    this.ended = this.#ended.promise;
    this.ended.catch(() => {}); // It may reject before anybody waits for it.
  }

  /**
   * Starts all workers and waits until they serve. If the system is to choose the port that they share, the first worker's
   * port becomes the others'.
   */
  async start(): Promise<void> {
    const [first, ...others] = this.configs;
    if (first.backend === "reuseport" && first.port === 0) {
      first.port = await this.#startFirstTime(first);
      for (const config of others) config.port = first.port;
      await Promise.all(others.map((config) => this.#startFirstTime(config)));
    } else {
      await Promise.all(this.configs.map(async (config) => config.port = await this.#startFirstTime(config)));
    }
  }

  /** Makes {@linkcode ended} reject. */
  giveUp(why: string): void {
    this.#ended.reject(new ServeError(why));
  }

  /** Tells the workers that have no pool how far their ticks are reserved now. */
  setMark(mark: number): void {
    for (const { share } of this.configs) if (share.kind === "subnode") share.reservation.mark = mark;
    for (const [{ share }, worker] of this.#workers) if (share.kind === "subnode") worker.setMark(mark);
  }

  /** The last tick that any of the workers has used, or may begin with; it is half a second old. */
  get usedTick(): number {
    return Math.max(
      ...[...this.#workers].map(([config, worker]) => Math.max(worker.usedTick, firstTickOf(config))),
    );
  }

  /** Once they have been stopped: the first tick that none of the workers has used; `undefined` if not all have told. */
  get firstUnusedTick(): number | undefined {
    const workers = [...this.#workers.values()];
    return workers.every(({ isDone }) => isDone) ? Math.max(...workers.map(({ usedTick }) => usedTick)) + 1 : undefined;
  }

  /** What each worker said it received since this was last called. */
  takeTraffic(): Traffic[] {
    return this.configs.map((config) => this.#workers.get(config)?.takeTraffic() ?? { messages: 0, receives: 0 });
  }

  /** Tells each worker whose datagrams to take, and those that are started in their place: the numbers of CPUs. */
  setIncomingCpus(incomingCpus: readonly number[]): void {
    for (const [i, config] of this.configs.entries()) {
      if (config.incomingCpu === incomingCpus[i]) continue;
      config.incomingCpu = incomingCpus[i];
      this.#workers.get(config)?.setIncomingCpu(incomingCpus[i]);
    }
  }

  /**
   * Replaces the workers one by one, without a request lost: each goes on until its successor serves. One that has no successor goes on
   * for good.
   *
   * @param access Who gets ids from the new ones.
   */
  reload(access: AccessOptions): Promise<void> {
    // One after the other; that an earlier one failed is no reason not to try this one.
    return this.#reloaded = this.#reloaded.catch(() => {}).then(async () => {
      for (const config of this.configs) await this.#replace(config, access);
    });
  }

  /** Has all workers answer what they have, while others get the new datagrams, and waits until they have ended. */
  async drain(): Promise<void> {
    this.#stopping.abort();
    await Promise.all([...this.#workers.values()].map((worker) => worker.drain()));
    this.#ended.resolve();
  }

  /** Ends all workers and waits until they have ended. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await Promise.all([...this.#workers.values()].map((worker) => worker.stop()));
    this.#ended.resolve();
  }

  /** Starts a worker and, from then on, looks after it. One that cannot even be started once is not tried again. */
  async #startFirstTime(config: WorkerConfig): Promise<number> {
    const worker = this.#spawn(config);
    this.#workers.set(config, worker);
    const port = await worker.ready;
    if (port === undefined) {
      await worker.exited;
      if (this.#stopping.signal.aborted) return config.port;
      throw new ServeError(`worker ${config.worker} could not start: ${await deathOf(worker)}`);
    }
    this.#lookAfter(worker, config).catch((error) => this.#ended.reject(error));
    return port;
  }

  /** Starts a worker again whenever it dies, as long as there is a point in it, and until it is replaced. */
  async #lookAfter(worker: WorkerProcess, config: WorkerConfig): Promise<void> {
    const policy = new RestartPolicy();
    const isOver = () => this.#stopping.signal.aborted || this.#workers.get(config) !== worker;
    while (true) {
      const death = await deathOf(worker);
      if (isOver()) return;
      const delayMs = policy.delayAfterDeath(performance.now());
      const who = `worker ${config.worker} (process ${worker.pid})`;
      if (delayMs === undefined) {
        throw new ServeError(
          `${who} died, as it did ${MAX_DEATHS} times in the last ${
            WINDOW_MS / 1000
          } s: ${death}; not starting it again`,
        );
      }
      if (config.share.kind === "subnode") beginBehind(config.share.reservation);
      const waitMs = Math.max(delayMs, untilFirstTick(config));
      this.log.warn(`${who} died: ${death}; starting it again in ${waitMs} ms`);
      await sleep(waitMs, this.#stopping.signal);
      if (isOver()) return;
      worker = this.#spawn(config);
      this.#workers.set(config, worker);
    }
  }

  async #replace(config: WorkerConfig, access: AccessOptions): Promise<void> {
    if (this.#stopping.signal.aborted) return;
    const successor = this.#spawn({ ...config, access });
    if (await successor.ready === undefined) {
      const death = await deathOf(successor);
      this.log.warn(`worker ${config.worker} could not be replaced: ${death}; the one that is there goes on`);
      return;
    }
    const worker = this.#workers.get(config)!;
    config.access = access;
    this.#workers.set(config, successor);
    this.#lookAfter(successor, config).catch((error) => this.#ended.reject(error));
    await worker.drain();
    if (this.#stopping.signal.aborted) await successor.drain(); // those who stopped the workers did not know of it
  }

  #spawn(config: WorkerConfig): WorkerProcess {
    try {
      return new WorkerProcess(this.program, config);
    } catch (error) {
      throw new ServeError(`a worker cannot be started: ${(error as Error).message}`);
    }
  }
}

/** The first tick that a worker may use, of those that have no pool to tell. */
function firstTickOf({ share }: WorkerConfig): number {
  return share.kind === "subnode" ? share.reservation.firstTick : -1;
}

/** The successor of a worker that died begins behind what was reserved until then, since all of that may have been used. */
function beginBehind(reservation: TickRange): void {
  reservation.firstTick = reservation.mark;
}

/**
 * How long until the clock is in the first tick that a worker may use, in ms. Started earlier, it would have to tell those that
 * ask it that there are no ids, while the other workers have some.
 */
function untilFirstTick(config: WorkerConfig): number {
  const { epochMs, tickMs } = LAYOUTS[config.layout];
  const waitMs = epochMs + firstTickOf(config) * tickMs - Date.now();
  return config.clockPolicy === "logical" ? 0 : Math.min(Math.max(waitMs, 0), MAX_WAIT_MS);
}

async function deathOf(worker: WorkerProcess): Promise<string> {
  const { code, signal } = await worker.exited;
  return worker.lastWords ?? (signal === null ? `exit code ${code}` : signal);
}

/** Waits; not to its end if the signal says so. */
function sleep(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const timer = setTimeout(resolve, ms);
    signal.addEventListener("abort", () => (clearTimeout(timer), resolve()), { once: true });
  });
}
