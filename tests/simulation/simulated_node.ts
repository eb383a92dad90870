import { type ClockPolicy, IdGenerator, IdGrant, type IdLayout, IdStatus, NodeHeldError } from "../../mod.ts";
import { MemorySequencePool } from "../id/memory_sequence_pool.ts";
import { ReservationHolder } from "../../lib/reservation/holder.ts";
import type { SimulatedStore, World } from "./world.ts";

/** Workers of a node. */
const WORKERS = 2;

/** How many sequence numbers workers take at a time, where they share a pool. */
const LEASE_SIZE = 2;

/** A worker process: it goes on with what it was told until it is dead, whatever becomes of its supervisor. */
interface Worker {
  ids: IdGenerator;
  lastSequenceAndTick: number;
  isAlive: boolean;
}

/** A supervisor process. */
interface Supervisor {
  holder: ReservationHolder | undefined;
  /** What its workers share, if they do: it is gone with the last of them. */
  pool: MemorySequencePool | undefined;
  workers: Worker[];
  isRenewing: boolean;
  isAlive: boolean;
  renewAtMs: number;
}

/** Takes note of every id given out, and complains about one that was given out before. */
export interface Ledger {
  note(nodeId: number, tick: number, sequence: number): void;
}

/**
 * A machine with one node id: a clock that is off, drifts and steps; a supervisor and its workers, which share a pool or have a
 * subnode each, and which die at any time; and what the supervisor does about it. The generators and the holder are the real ones.
 */
export class SimulatedNode {
  /** How far the machine's clock is off, in ms. */
  skewMs: number;
  /** Whether there are faults. */
  isFaulty = true;
  /** How many ids were given out. */
  given = 0;

  readonly policy: ClockPolicy;
  readonly #hasPool: boolean;
  readonly #clock;
  readonly #monotonicClock;
  readonly #grant = new IdGrant();
  readonly #startMs: number;
  #supervisor: Supervisor | undefined;
  /** Workers whose supervisor is gone. */
  readonly #orphans: Worker[] = [];
  #startAtMs = 0;
  #starts = 0;

  constructor(
    private readonly world: World,
    private readonly store: SimulatedStore,
    private readonly layout: IdLayout,
    private readonly ledger: Ledger,
    readonly nodeId: number,
    startMs: number,
  ) {
    this.#startMs = startMs;
    this.skewMs = world.chance(0.5) ? 0 : world.between(-5000, 5000);
    this.policy = world.oneOf(["refuse", "logical"]);
    this.#hasPool = world.chance(0.5);
    this.#clock = { now: () => this.#startMs + this.world.nowMs + this.skewMs };
    this.#monotonicClock = { now: () => this.world.nowMs };
    this.#startAtMs = world.between(0, 3000);
  }

  /** Does what a machine does in a moment of time. */
  step(): void {
    if (this.isFaulty) this.#suffer();
    if (this.#supervisor === undefined && this.world.nowMs >= this.#startAtMs) this.#start();
    const supervisor = this.#supervisor;
    if (supervisor?.holder !== undefined) {
      this.#renewIfDue(supervisor, supervisor.holder);
      for (const worker of supervisor.workers) this.#take(worker);
    }
    for (const orphan of this.#orphans) this.#take(orphan);
  }

  /** What goes wrong. */
  #suffer(): void {
    const { world } = this;
    if (world.chance(0.002)) this.skewMs += world.oneOf([-1, 1]) * world.oneOf([1, 900, 1000, 10_000, 600_000]);
    if (world.chance(0.002)) this.skewMs = 0; // put right
    if (world.chance(0.002)) this.#killSupervisor();
    if (world.chance(0.002)) this.#killWorker();
    // An orphan notices after a while; one that was stopped meanwhile, much later.
    if (this.#orphans.length > 0 && world.chance(0.02)) this.#orphans.shift()!.isAlive = false;
  }

  #killSupervisor(): void {
    if (this.#supervisor === undefined) return;
    this.#supervisor.isAlive = false;
    this.#orphans.push(...this.#supervisor.workers);
    this.#supervisor = undefined;
    this.#startAtMs = this.world.nowMs + this.world.between(0, 3000);
  }

  /**
   * A worker dies, and gets a successor: from the mark on, since it may have used whatever had been reserved until then, unless
   * there is a pool that knows what it has used.
   */
  #killWorker(): void {
    const supervisor = this.#supervisor;
    if (supervisor?.holder === undefined) return;
    const index = Math.floor(this.world.between(0, WORKERS));
    supervisor.workers[index].isAlive = false;
    const { holder, pool } = supervisor;
    supervisor.workers[index] = this.#worker(holder, pool, index, pool === undefined ? holder.mark : holder.firstTick);
  }

  #start(): void {
    const supervisor: Supervisor = {
      ...{ holder: undefined, pool: undefined, workers: [], isRenewing: false, isAlive: true },
      renewAtMs: this.world.nowMs + 1000,
    };
    this.#supervisor = supervisor;
    const { nodeId, store, layout } = this;
    const name = `node ${nodeId}, start ${this.#starts++}`;
    const clocks = { clock: this.#clock, monotonicClock: this.#monotonicClock };
    ReservationHolder.take({ nodeId, store, layout, name, ...clocks }, this.policy === "logical").then(
      (holder) => {
        if (!supervisor.isAlive) return;
        supervisor.holder = holder;
        const pool = this.#hasPool ? new MemorySequencePool(layout, holder.firstTick, LEASE_SIZE) : undefined;
        supervisor.pool = pool;
        supervisor.workers = Array.from({ length: WORKERS }, (_, i) => this.#worker(holder, pool, i, holder.firstTick));
      },
      () => { // The store failed: the supervisor ends, and is started again.
        if (!supervisor.isAlive) return;
        this.#supervisor = undefined;
        this.#startAtMs = this.world.nowMs + 1000;
      },
    );
  }

  #worker(
    holder: ReservationHolder,
    pool: MemorySequencePool | undefined,
    subnodeId: number,
    firstTick: number,
  ): Worker {
    const { nodeId, layout } = this;
    const ids = new IdGenerator({
      ...{ nodeId, layout, clock: this.#clock, monotonicClock: this.#monotonicClock },
      ...(pool === undefined ? { subnodeId, subnodeCount: WORKERS } : { sequencePool: pool }),
      ...{ clockPolicy: this.policy, reservation: { firstTick, endTick: holder.mark } },
    });
    return { ids, lastSequenceAndTick: -1, isAlive: true };
  }

  #renewIfDue(supervisor: Supervisor, holder: ReservationHolder): void {
    if (supervisor.isRenewing || this.world.nowMs < supervisor.renewAtMs) return;
    supervisor.renewAtMs = this.world.nowMs + 1000;
    supervisor.isRenewing = true;
    const usedTick = Math.max(...supervisor.workers.map(({ ids }) => ids.lastTick));
    // A renewal that takes too long is given up, and goes on behind the next one's back.
    this.world.after(2000, () => supervisor.isRenewing = false);
    holder.renew(this.policy === "logical" ? usedTick : -1).then(
      () => {
        supervisor.isRenewing = false;
        const mark = holder.mark;
        for (const { ids } of supervisor.workers) {
          this.world.after(this.world.between(1, 300), () => ids.extendReservation(mark));
        }
      },
      (error) => {
        supervisor.isRenewing = false;
        // A request of one before it, which took long to get to the store, has taken the node: it ends, and is started again.
        if (error instanceof NodeHeldError && supervisor === this.#supervisor) this.#killSupervisor();
      },
    );
  }

  /** Somebody asks a worker for ids, now and then for more than there are. */
  #take(worker: Worker): void {
    if (!worker.isAlive || !this.world.chance(0.5)) return;
    const count = this.world.chance(0.1) ? 100 : 2;
    if (worker.ids.tryRange(count, this.#grant) !== IdStatus.OK) return;
    let id = BigInt(this.#grant.firstHigh) << 32n | BigInt(this.#grant.firstLow);
    for (let i = 0; i < this.#grant.count; i++, id += worker.ids.step) {
      const { tick, sequence, nodeId } = this.layout.unpack(id);
      const sequenceAndTick = tick * 2 ** 20 + sequence;
      if (sequenceAndTick <= worker.lastSequenceAndTick) {
        throw new Error(`the ids of a worker of node ${nodeId} do not ascend`);
      }
      worker.lastSequenceAndTick = sequenceAndTick;
      this.ledger.note(nodeId, tick, sequence);
      this.given++;
    }
  }
}
