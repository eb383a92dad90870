import { uniformFloat64 } from "pure-rand/distribution/uniformFloat64";
import { xoroshiro128plus } from "pure-rand/generator/xoroshiro128plus";
import type { Reservation, ReservationStore } from "../../mod.ts";

/** What all of a simulation shares: one seed, one time, and what is to happen when. */
export class World {
  /** The true time, in ms since the simulation began. */
  nowMs = 0;

  readonly #random;
  readonly #due = new Map<number, (() => void)[]>();

  /** @param seed The same seed gives the same run. */
  constructor(readonly seed: number) {
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

/**
 * The store of all nodes: atomic and durable, and apart from that as bad as stores get. Requests and replies take their time, some
 * of them minutes, so that changes are made long after whoever asked for them has given up or died; either may be lost; and from
 * time to time nothing gets through at all.
 */
export class SimulatedStore implements ReservationStore {
  /** Whether nothing gets through. */
  isOut = false;

  readonly #records = new Map<number, Reservation>();

  constructor(private readonly world: World) {}

  read(nodeId: number): Promise<Reservation | undefined> {
    return this.#request(() => this.#records.get(nodeId));
  }

  compareAndSet(nodeId: number, expected: Reservation | undefined, next: Reservation): Promise<boolean> {
    return this.#request(() => {
      const found = this.#records.get(nodeId);
      const isExpected = found?.mark === expected?.mark && found?.holder === expected?.holder;
      if (isExpected) this.#records.set(nodeId, next);
      return isExpected;
    });
  }

  /** The mark on record for a node. */
  markOf(nodeId: number): number {
    return this.#records.get(nodeId)?.mark ?? 0;
  }

  #request<T>(execute: () => T): Promise<T> {
    const { world } = this;
    return new Promise((resolve, reject) => {
      if (this.isOut || world.chance(0.01)) {
        return world.after(this.#latencyMs(), () => reject(new Error("the request got lost")));
      }
      world.after(this.#latencyMs(), () => {
        const result = execute();
        const isLost = this.isOut || world.chance(0.01);
        world.after(this.#latencyMs(), () => isLost ? reject(new Error("the reply got lost")) : resolve(result));
      });
    });
  }

  #latencyMs(): number {
    const { world } = this;
    return world.chance(0.002) ? world.between(1000, 60_000) : world.between(1, 20);
  }
}
