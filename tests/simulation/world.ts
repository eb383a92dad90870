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

/**
 * The store of all nodes: atomic and durable, and apart from that as bad as stores get. Requests and replies take their
 * time, some of them minutes, so that changes are made long after whoever asked for them has given up or died; either
 * may be lost; and from time to time nothing gets through at all.
 */
export class SimulatedStore {
  /** Whether nothing gets through. */
  isOut = false;

  readonly #records = new Map<number, string>();
  /** The holders of each node that came on record, in their order. */
  readonly #holders = new Map<number, string[]>();

  private readonly world: World;

  constructor(world: World) {
    this.world = world;
  }

  /** The store for a process, which gets no replies any more once it is dead. */
  asSeenBy(process: { readonly isAlive: boolean }): ReservationStore {
    return {
      isLocal: true,
      read: (nodeId) => this.#request(process, () => this.#records.get(nodeId)),
      compareAndSet: (nodeId, expected, next) =>
        this.#request(process, () => {
          if (this.#records.get(nodeId) !== expected) return false;
          this.#records.set(nodeId, next);
          const { name } = parseHolder(decodeReservation(next).holder);
          const holders = this.#holdersOf(nodeId);
          if (name !== "" && !holders.includes(name)) holders.push(name);
          return true;
        }),
    };
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

  #holdersOf(nodeId: number): string[] {
    const holders = this.#holders.get(nodeId) ?? [];
    this.#holders.set(nodeId, holders);
    return holders;
  }

  #request<T>(process: { readonly isAlive: boolean }, execute: () => T): Promise<T> {
    const { world } = this;
    return new Promise((resolve, reject) => {
      const fail = (message: string) => process.isAlive && reject(new Error(message));
      if (this.isOut || world.chance(0.01)) {
        return world.after(this.#latencyMs(), () => fail("the request got lost"));
      }
      world.after(this.#latencyMs(), () => {
        const result = execute();
        const isLost = this.isOut || world.chance(0.01);
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
