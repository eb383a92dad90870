import { parseHolder } from "../../lib/reservation/holder_on_record.ts";
import { uniformFloat64 } from "pure-rand/distribution/uniformFloat64";
import { xoroshiro128plus } from "pure-rand/generator/xoroshiro128plus";
import { decodeReservation } from "../../lib/reservation/reservation.ts";
import type { ReservationStore } from "../../mod.ts";

/** What all of a simulation shares: one seed, one time, and what is to happen when. */
export class World {
  /** The true time, in ms since the simulation began. */
  nowMs = 0;

  readonly #random;
  readonly #due = new Map<number, (() => void)[]>();

  /** The same seed gives the same run. */
  readonly seed: number;

  /** @param seed The same seed gives the same run. */
  constructor(seed: number) {
    this.seed = seed;
    this.#random = xoroshiro128plus(seed);
  }

  /** Whether something happens that has this probability. */
  chance(probability: number): boolean {
    return uniformFloat64(this.#random) < probability;
  }

  /** A random number from `min` to before `max`. */
  between(min: number, max: number): number {
    return min + uniformFloat64(this.#random) * (max - min);
  }

  /** One of several. */
  oneOf<T>(choices: readonly T[]): T {
    return choices[Math.floor(this.between(0, choices.length))];
  }

  /** Has something happen later. */
  after(ms: number, happen: () => void): void {
    const atMs = this.nowMs + Math.max(1, Math.round(ms));
    const list = this.#due.get(atMs);
    if (list === undefined) this.#due.set(atMs, [happen]);
    else list.push(happen);
  }

  /** Lets time pass, and all happen that is due, with whatever it sets off. */
  async pass(ms: number): Promise<void> {
    const endMs = this.nowMs + ms;
    while (this.nowMs < endMs) {
      this.nowMs++;
      const due = this.#due.get(this.nowMs);
      if (due === undefined) continue;
      this.#due.delete(this.nowMs);
      for (const happen of due) happen();
      // A reply goes through a handful of awaits until it is used, or leads to the next request.
      for (let turn = 0; turn < 12; turn++) await Promise.resolve();
    }
  }
}

/** A process that asks a store. */
export interface StoreClient {
  /** Whether it hears the replies. */
  readonly isAlive: boolean;
  /** Whether nothing gets through between it and the store. */
  readonly isCutOff: boolean;
}

/** How often a shared store notes a state that it may go back to, and for how long, in ms. */
const SNAPSHOT_EVERY_MS = 2000;
const SNAPSHOTS_FOR_MS = 600_000;

/**
 * The store of many nodes: atomic, and apart from that as bad as stores get. Requests and replies take their time, some
 * of them minutes, so that changes are made long after whoever asked for them has given up or died; either may be lost;
 * and from time to time nothing gets through at all.
 *
 * One of a machine's own is durable. One that machines share goes back to earlier states, and loses records.
 */
export class SimulatedStore {
  /** Whether nothing gets through. */
  isOut = false;
  /** How often the record of a node has gone back, or was lost. */
  goneBack = 0;

  #records = new Map<number, string>();
  readonly #snapshots: { readonly atMs: number; readonly records: Map<number, string> }[] = [];
  /** The holders of each node that came on record, in their order. */
  readonly #holders = new Map<number, string[]>();

  private readonly world: World;
  /** Whether machines share the store. */
  readonly isShared: boolean;
  private readonly startMs: number;

  /**
   * @param world What all of a simulation shares.
   * @param startMs What right clocks say when the simulation begins; `undefined`: no machines share the store.
   */
  constructor(world: World, startMs?: number) {
    this.world = world;
    this.isShared = startMs !== undefined;
    this.startMs = startMs ?? 0;
    if (this.isShared) this.#keepSnapshots();
  }

  /** The store for a process, which gets no replies any more once it is dead. */
  asSeenBy(process: StoreClient): ReservationStore {
    const store: ReservationStore = {
      isLocal: !this.isShared,
      read: (nodeId) => this.#request(process, () => this.#records.get(nodeId)),
      compareAndSet: (nodeId, expected, next) => this.#request(process, () => this.#set(nodeId, expected, next)),
    };
    // As an HTTP server tells the time: in whole seconds.
    const now = () => Math.floor((this.startMs + this.world.nowMs) / 1000) * 1000;
    return this.isShared ? { ...store, now: () => this.#request(process, now) } : store;
  }

  /** How many holders of a node came on record before one. */
  rankOf(nodeId: number, holder: string): number {
    return this.#holdersOf(nodeId).indexOf(holder);
  }

  /** The mark on record for a node. */
  markOf(nodeId: number): number {
    const record = this.#records.get(nodeId);
    return record === undefined ? 0 : decodeReservation(record).mark;
  }

  /**
   * Goes back to an earlier state, mostly one of the last seconds, or loses records.
   *
   * @param isOvertime Whether a holder is there that was cut off for longer than its reservation. If another one has
   * taken the node, and the record of the first one came back, that one would go on: the one case that is not covered.
   * So that record stays as it is.
   */
  goBack(isOvertime: (nodeId: number, holder: string) => boolean): void {
    const { world } = this;
    const isLoss = world.chance(0.3);
    const ageMs = world.chance(0.7) ? world.between(0, 10_000) : world.between(0, SNAPSHOTS_FOR_MS);
    const { records } = this.#snapshots.findLast(({ atMs }) => atMs <= world.nowMs - ageMs) ?? { records: new Map() };
    for (const [nodeId, present] of [...this.#records]) {
      if (!world.chance(isLoss ? 0.1 : 0.95)) continue;
      const before = isLoss ? undefined : records.get(nodeId);
      if (before === present) continue;
      if (before !== undefined && nameIn(before) !== nameIn(present) && isOvertime(nodeId, nameIn(before))) continue;
      if (before === undefined) this.#records.delete(nodeId);
      else this.#records.set(nodeId, before);
      this.goneBack++;
    }
  }

  #keepSnapshots(): void {
    const { world } = this;
    this.#snapshots.push({ atMs: world.nowMs, records: new Map(this.#records) });
    if (this.#snapshots[0].atMs < world.nowMs - SNAPSHOTS_FOR_MS) this.#snapshots.shift();
    world.after(SNAPSHOT_EVERY_MS, () => this.#keepSnapshots());
  }

  #set(nodeId: number, expected: string | undefined, next: string): boolean {
    if (this.#records.get(nodeId) !== expected) return false;
    this.#records.set(nodeId, next);
    const name = nameIn(next);
    const holders = this.#holdersOf(nodeId);
    if (name !== "" && !holders.includes(name)) holders.push(name);
    return true;
  }

  #holdersOf(nodeId: number): string[] {
    const holders = this.#holders.get(nodeId) ?? [];
    this.#holders.set(nodeId, holders);
    return holders;
  }

  #request<T>(process: StoreClient, execute: () => T): Promise<T> {
    const { world } = this;
    return new Promise((resolve, reject) => {
      const fail = (message: string) => process.isAlive && reject(new Error(message));
      if (this.isOut || process.isCutOff || world.chance(0.01)) {
        return world.after(this.#latencyMs(), () => fail("the request got lost"));
      }
      world.after(this.#latencyMs(), () => {
        const result = execute();
        const isLost = this.isOut || process.isCutOff || world.chance(0.01);
        world.after(this.#latencyMs(), () => {
          if (isLost) fail("the reply got lost");
          else if (process.isAlive) resolve(result);
        });
      });
    });
  }

  #latencyMs(): number {
    const { world } = this;
    return world.chance(0.002) ? world.between(1000, 60_000) : world.between(1, 20);
  }
}

function nameIn(record: string): string {
  return parseHolder(decodeReservation(record).holder).name;
}
