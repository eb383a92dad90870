import { type AccessCounts, createAccessCounts } from "../access/access_counts.ts";
import { GlobalIdError } from "../base/errors.ts";
import { messageOf } from "../base/message_of.ts";
import { sleep } from "../base/sleep.ts";
import { LAYOUTS } from "../id/presets.ts";
import type { NodeLock } from "../node/node_lock.ts";
import type { NodePool } from "../node/node_pool.ts";
import { PoolError } from "../node/pool_header.ts";
import { CpuUse } from "../placement/cpu_use.ts";
import { Placer } from "../placement/placer.ts";
import { NodeHeldError } from "../reservation/errors.ts";
import { ReservationKeeper } from "../reservation/keeper.ts";
import { readAccess } from "./access_checks.ts";
import { AttackReport } from "./attack_report.ts";
import type { ClaimedNode } from "./claim_node.ts";
import { checkDrift, readClockSync } from "./clock_sync.ts";
import type { WorkerConfig } from "./control_channel.ts";
import { EndOfLayout } from "./end_of_layout.ts";
import type { Fleet } from "./fleet.ts";
import { ReservationReport } from "./reservation_report.ts";
import { ServeError } from "./serve_error.ts";
import type { ServeLog } from "./serve_log.ts";
import type { NodeOptions } from "./serve_options.ts";
import { nameHolder } from "./state_dir.ts";

/**
 * After how long a server that was taken over should have ended, in ms: it notices within 1 s, or 3 s if its store is
 * slow.
 */
const LOCK_TIMEOUT_MS = 10_000;

/** How often to look for attacks, in ms. Workers bring their counts up to date twice as often. */
const ATTACK_INTERVAL_MS = 1000;

/** How long the workers have to answer, in ms: a busy worker reads its messages every 12 ms. */
const ANSWER_TIMEOUT_MS = 2000;

/**
 * How far off the first ids are at most where nothing is wrong, in ms, rounded up: another server of a shared store may
 * have reserved ticks for 10 s, beside the skew of clocks, and a pool that is gone had reserved 15 s.
 */
const FAR_OFF_MS = 30_000;

/** How often to look whether the tick has been reserved that has come, in ms. */
const LOOK_MS = 20;

/** Another server has taken over, and owns the node's pool now. */
class TakenOverError extends GlobalIdError {
  /** The name of the class. */
  override name = "TakenOverError";
}

/** The parts of a {@linkcode Server}. */
export interface ServerParts {
  /** The options of the server. */
  readonly options: NodeOptions;
  /** The node whose ids are served. */
  readonly node: ClaimedNode;
  /** The workers, which have not started. */
  readonly fleet: Fleet;
  /** Receives the server's lines. */
  readonly log: ServeLog;
}

/**
 * A server from its first worker to its last: {@linkcode start} or {@linkcode takeOver}, then {@linkcode run}, and in
 * any case {@linkcode end}.
 */
export class Server {
  readonly #options: NodeOptions;
  readonly #node: ClaimedNode;
  readonly #fleet: Fleet;
  readonly #log: ServeLog;
  readonly #takenOver = Promise.withResolvers<void>();
  #isTakenOver = false;
  /** Renews the reservation; `undefined` as long as another server's keeper does. */
  #keeper: ReservationKeeper | undefined;

  /**
   * Makes a server that has not started.
   *
   * @param parts The parts of the server.
   */
  constructor({ options, node, fleet, log }: ServerParts) {
    this.#options = options;
    this.#node = node;
    this.#fleet = fleet;
    this.#log = log;
  }

  /** Whether another server has taken over from this one. */
  get isTakenOver(): boolean {
    return this.#isTakenOver;
  }

  /**
   * Starts to renew the reservation, and the workers, and waits until they have ids.
   *
   * @param stop Aborts when this server is to stop.
   * @throws {ServeError} If a worker cannot be started, or another holder claims the node.
   */
  async start(stop: AbortSignal): Promise<void> {
    this.#keeper = this.#keepReservation();
    await this.#fleet.start();
    const over = new AbortController();
    const ended = this.#over().finally(() => over.abort());
    await Promise.race([ended, this.#awaitIds(AbortSignal.any([stop, over.signal]))]);
  }

  /**
   * Starts the workers beside those of the running server, then takes its pool over and waits until it has ended.
   *
   * @param lock The node's lock, which the running server holds.
   * @param stop Aborts when this server is to stop.
   * @throws {ServeError} If a worker cannot be started, or the running server has closed its pool meanwhile.
   */
  async takeOver(lock: NodeLock, stop: AbortSignal): Promise<void> {
    await this.#fleet.start();
    if (stop.aborted) return;
    if (!this.#node.pool?.own()) {
      throw new ServeError("the server that was to be replaced has ended meanwhile: start this one again");
    }
    this.#keeper = this.#keepReservation();
    await this.#acquireLock(lock, stop);
  }

  /**
   * Serves until all workers have been stopped, or another server has taken over.
   *
   * @throws {ServeError} If a worker dies too often, another holder has claimed the node, or the pool is damaged.
   */
  async run(): Promise<void> {
    using helpers = new DisposableStack();
    for (const hostname of this.#options.hostnames) helpers.use(startPlacer(this.#fleet, hostname));
    const attacks = new AttackReport(this.#log, this.#counts, performance.now());
    helpers.defer(() => attacks.end(this.#counts));
    const timer = setInterval(() => attacks.update(this.#counts, performance.now()), ATTACK_INTERVAL_MS);
    helpers.defer(() => clearInterval(timer));
    await this.#over();
  }

  /** Whether the workers answer, and have ids: the reservation is renewed, or still good. */
  async isServing(): Promise<boolean> {
    const { epochMs, tickMs } = LAYOUTS[this.#options.layout];
    const isReserved = epochMs + this.#node.holder.mark * tickMs > Date.now();
    return isReserved && await this.#fleet.answers(ANSWER_TIMEOUT_MS);
  }

  /**
   * Ends the workers. Beside another server of the same pool, they first answer the requests that they have: the other
   * server's workers get all new ones.
   */
  async endWorkers(): Promise<void> {
    const { pool } = this.#node;
    const isAlone = pool === undefined || pool.isOwned;
    await (isAlone ? this.#fleet.stop() : this.#fleet.drain());
  }

  /** Ends the workers and gives the node back, unless it is another server's now. */
  async end(): Promise<void> {
    await this.endWorkers();
    const { pool } = this.#node;
    const firstUnusedTick = pool === undefined ? this.#fleet.firstUnusedTick : this.#closePool(pool);
    if (pool === undefined || firstUnusedTick !== undefined) await this.#keeper?.release(firstUnusedTick);
    else await this.#keeper?.stop();
  }

  /**
   * Closes the pool. It leases nothing any more then: the ticks after its last one are the next holder's.
   *
   * @returns The first of these ticks; `undefined` if only the pool's owner may say so, which is another server, or if
   * the pool is damaged.
   */
  #closePool(pool: NodePool): number | undefined {
    try {
      pool.check(this.#node.holder.mark);
      return pool.close() ? pool.firstUnusedTick : undefined;
    } catch (error) {
      if (!(error instanceof PoolError)) throw error;
      if (pool.isOwned) pool.condemn();
      this.#log.warn(`all reserved ticks count as used: ${error.message}`);
      return undefined;
    }
  }

  /** Replaces the workers by ones that know what has changed in the files that the options name. */
  async reload(): Promise<void> {
    const { configs } = this.#fleet;
    const [{ backend }] = configs;
    if (backend !== "reuseport") {
      this.#log.warn(`workers of the backend ${backend} cannot be replaced, since each has a port of its own`);
      return;
    }
    try {
      const isComplete = await this.#fleet.reload(await readAccess(this.#options, configs.length));
      if (isComplete) this.#log.info("the workers have been replaced");
    } catch (error) {
      this.#log.warn(`the workers go on as they are: ${messageOf(error)}`);
    }
  }

  /** Renews the reservation in the background, and tells pool, workers and operator. */
  #keepReservation(): ReservationKeeper {
    const { holder, pool } = this.#node;
    const { maxDriftMs, clockPolicy } = this.#options;
    const report = new ReservationReport(this.#options, this.#log);
    const end = new EndOfLayout(this.#options.layout, this.#log);
    end.warnIfNear();
    const lastUsedTick = () => pool === undefined ? this.#fleet.usedTick : pool.position.tick;
    return new ReservationKeeper(holder, {
      check: () => {
        if (pool !== undefined && !pool.isOwned) throw new TakenOverError();
        checkDrift(maxDriftMs, readClockSync());
      },
      usedTick: () => clockPolicy === "logical" ? lastUsedTick() : -1,
      onMark: (mark) => {
        pool?.extend(mark);
        pool?.check(mark);
        this.#fleet.setMark(mark);
        report.onMark(mark, holder.aheadMs);
        end.warnIfNear();
      },
      onError: (error) => {
        if (error instanceof TakenOverError) return this.#leave();
        if (error instanceof NodeHeldError || error instanceof PoolError) {
          this.#fleet.giveUp(new ServeError(error.message, { cause: error }));
        } else {
          report.onError(error, holder.mark);
        }
      },
    });
  }

  /** What became of the datagrams of all workers. */
  get #counts(): AccessCounts {
    const { pool } = this.#node;
    const { configs, counts } = this.#fleet;
    const all = pool === undefined ? counts : configs.map(({ worker }) => pool.countsOf(worker));
    return all.reduce((sum, counts) => sum.map((count, i) => count + counts[i]), createAccessCounts());
  }

  #leave(): void {
    this.#isTakenOver = true;
    this.#takenOver.resolve();
  }

  /**
   * Waits until the server that was taken over has ended, and warns if that takes long. The wait ends early if this
   * server is to stop, is taken over itself, or loses its workers or the node: `run` tells which.
   */
  async #acquireLock(lock: NodeLock, stop: AbortSignal): Promise<void> {
    const over = new AbortController();
    this.#over().finally(() => over.abort()).catch(() => {});
    const timer = setTimeout(async () => {
      const predecessor = await lock.holder();
      this.#log.warn(`this server serves the node, but process ${predecessor}, which did, has not ended`);
    }, LOCK_TIMEOUT_MS);
    if (await lock.acquire(AbortSignal.any([stop, over.signal]))) await nameHolder(lock, this.#log);
    clearTimeout(timer);
  }

  /**
   * Waits until there are ids. They are far off only if the clock is behind: then the log has said so, and the server
   * counts as started.
   *
   * @param giveUp Ends the wait.
   */
  async #awaitIds(giveUp: AbortSignal): Promise<void> {
    const { layout, clockPolicy } = this.#options;
    const { epochMs, tickMs } = LAYOUTS[layout];
    const { holder, pool } = this.#node;
    const tick = pool?.firstUnusedTick ?? holder.firstTick;
    while (!giveUp.aborted) {
      const waitMs = clockPolicy === "logical" ? 0 : epochMs + tick * tickMs - Date.now();
      if (waitMs > FAR_OFF_MS || waitMs <= 0 && holder.mark > tick) return;
      await sleep(Math.max(waitMs, LOOK_MS), giveUp).catch(() => {});
    }
  }

  /** Settles when all workers have ended, or another server has taken over. */
  #over(): Promise<void> {
    return Promise.race([this.#fleet.ended, this.#takenOver.promise]);
  }
}

/** Starts to place the workers of an address, if each has a CPU of its own, and the use of those CPUs is known. */
function startPlacer(fleet: Fleet, hostname: string): Placer | undefined {
  const configs = fleet.configs.filter((config) => config.hostname === hostname);
  const cpus = cpusOf(configs);
  const isPlaced = configs[0].backend === "reuseport" && configs.length > 1 && new Set(cpus).size === configs.length;
  return isPlaced && CpuUse.isKnown(cpus) ? new Placer(fleet.workersOf(hostname), cpus) : undefined;
}

function cpusOf(configs: WorkerConfig[]): number[] {
  return configs.map(({ cpu }) => cpu).filter((cpu) => cpu !== undefined);
}
