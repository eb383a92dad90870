import type { TickRange } from "../id/id_generator_options.ts";
import { LAYOUTS } from "../id/presets.ts";
import type { Traffic } from "../udp/reuseport.ts";
import type { WorkerConfig } from "./control_channel.ts";
import { MAX_DEATHS, RestartPolicy, WINDOW_MS } from "./restart_policy.ts";
import { ServeError, type ServeLog } from "./serve_error.ts";
import { WorkerProcess, type WorkerProgram } from "./worker_process.ts";

/** How long workers have to end when they are told to, in ms, before they are made to. */
const STOP_TIMEOUT_MS = 500;

/** How long a worker is held back at most until there are ids for it, in ms. */
const MAX_WAIT_MS = 15_000;

/** The workers of one server. */
export class Fleet {
  /** Settles when all workers have ended for good: rejects if that is because one cannot be kept alive. */
  readonly ended: Promise<void>;

  readonly #ended = Promise.withResolvers<void>();
  readonly #stopping = new AbortController();
  readonly #workers = new Map<WorkerConfig, WorkerProcess>();
  #mark: number;

  constructor(
    private readonly program: WorkerProgram,
    private readonly configs: WorkerConfig[],
    private readonly log: ServeLog,
  ) {
    this.#mark = configs[0].reservation.endTick;
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

  /** Tells all workers how far their ticks are reserved now. */
  setMark(mark: number): void {
    if (mark <= this.#mark) return;
    this.#mark = mark;
    for (const worker of this.#workers.values()) worker.setMark(mark);
  }

  /** The last tick that any of the workers has used, or may begin with; it is half a second old. */
  get usedTick(): number {
    return Math.max(
      ...[...this.#workers].map(([config, worker]) => Math.max(worker.usedTick, config.reservation.firstTick)),
    );
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

  /** Ends all workers and waits until they have ended. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    const workers = [...this.#workers.values()];
    for (const worker of workers) worker.kill("SIGTERM");
    const timer = setTimeout(() => workers.forEach((worker) => worker.kill("SIGKILL")), STOP_TIMEOUT_MS);
    await Promise.all(workers.map((worker) => worker.exited));
    clearTimeout(timer);
    this.#ended.resolve();
  }

  /** Starts a worker and, from then on, looks after it. One that cannot even be started once is not tried again. */
  async #startFirstTime(config: WorkerConfig): Promise<number> {
    const worker = this.#spawn(config);
    const port = await worker.ready;
    if (port === undefined) {
      await worker.exited;
      if (this.#stopping.signal.aborted) return config.port;
      throw new ServeError(`worker ${config.worker} could not start: ${await deathOf(worker)}`);
    }
    this.#lookAfter(worker, config).catch((error) => this.#ended.reject(error));
    return port;
  }

  /** Starts a worker again whenever it dies, as long as there is a point in it. */
  async #lookAfter(worker: WorkerProcess, config: WorkerConfig): Promise<void> {
    const policy = new RestartPolicy();
    while (true) {
      const death = await deathOf(worker);
      if (this.#stopping.signal.aborted) return;
      const delayMs = policy.delayAfterDeath(performance.now());
      const who = `worker ${config.worker} (process ${worker.pid})`;
      if (delayMs === undefined) {
        throw new ServeError(
          `${who} died, as it did ${MAX_DEATHS} times in the last ${
            WINDOW_MS / 1000
          } s: ${death}; not starting it again`,
        );
      }
      config.reservation = this.#reservationAfterDeath(config);
      const waitMs = Math.max(delayMs, untilFirstTick(config));
      this.log.warn(`${who} died: ${death}; starting it again in ${waitMs} ms`);
      await sleep(waitMs, this.#stopping.signal);
      if (this.#stopping.signal.aborted) return;
      worker = this.#spawn(config);
    }
  }

  /**
   * What a worker may use in place of one that died: it goes on where that one was, if the pool knows where; else it begins
   * behind what was reserved until then, since all of that may have been used.
   */
  #reservationAfterDeath({ reservation, sequencePoolPath }: WorkerConfig): TickRange {
    const firstTick = sequencePoolPath === undefined ? this.#mark : reservation.firstTick;
    return { firstTick, endTick: this.#mark };
  }

  #spawn(config: WorkerConfig): WorkerProcess {
    config.reservation = { ...config.reservation, endTick: this.#mark };
    let worker: WorkerProcess;
    try {
      worker = new WorkerProcess(this.program, config);
    } catch (error) {
      throw new ServeError(`a worker cannot be started: ${(error as Error).message}`);
    }
    this.#workers.set(config, worker);
    return worker;
  }
}

/**
 * How long until the clock is in the first tick that a worker may use, in ms. Started earlier, it would have to tell those that
 * ask it that there are no ids, while the other workers have some.
 */
function untilFirstTick({ clockPolicy, layout, reservation }: WorkerConfig): number {
  const { epochMs, tickMs } = LAYOUTS[layout];
  const waitMs = epochMs + reservation.firstTick * tickMs - Date.now();
  return clockPolicy === "logical" ? 0 : Math.min(Math.max(waitMs, 0), MAX_WAIT_MS);
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
