import { checkInteger } from "../base/check.ts";
import type { SourceMemory } from "../node/source_memory.ts";
import { IDS, NO_PLACE, SourcePlaces, tickWordOf } from "./_source_places.ts";

/** The settings of a {@linkcode SourceTable}. */
export interface SourceTableOptions {
  /** How many ids of a tick a source may have, 1 to 2^31. */
  readonly idsPerTick: number;
  /**
   * Which part of the ids that a source has left a lease may take, 1 or more: 1 for all, 8 for an eighth. A lease may
   * always take what was asked for.
   */
  readonly leaseParts: number;
  /** The length of a tick, in ms. */
  readonly tickMs: number;
}

/** By how much a clock that is read anew has to be behind the table, in ms, to count as set back. */
const SET_BACK_MS = 1000;

/**
 * Counts the ids of each source in a tick, for all workers that share its memory.
 *
 * **The invariant**: the leases of a source in a tick add up to no more than its ids, whichever workers take them, and
 * wherever they are killed. The table is in one tick at a time, and goes on to later ones. A worker whose clock is a
 * moment behind gets no leases until it is in the table's tick. Only when the clock was set back, the table follows it:
 * else sources would get nothing until the clock has caught up.
 *
 * When a tick has more sources than about half of the places, a source may find all places of its run in use. It then
 * shares the ids of the source in the first of them. So a source never gets more than its ids. It can get fewer, but a
 * hash with a secret chooses whom it shares with, not a sender.
 */
export class SourceTable {
  readonly #memory: SourceMemory;
  readonly #places: SourcePlaces;
  readonly #idsPerTick: number;
  readonly #leaseParts: number;
  readonly #setBackTicks: number;

  /**
   * Uses memory as a table.
   *
   * @param memory The memory.
   * @param options How many ids a source may have.
   * @throws {TypeError | RangeError} If a number is out of its range.
   */
  constructor(memory: SourceMemory, { idsPerTick, leaseParts, tickMs }: SourceTableOptions) {
    this.#memory = memory;
    this.#places = new SourcePlaces(memory.places, memory.secret);
    this.#idsPerTick = checkInteger("idsPerTick", idsPerTick, 1, 2 ** 31);
    this.#leaseParts = checkInteger("leaseParts", leaseParts, 1, 2 ** 31);
    this.#setBackTicks = Math.ceil(SET_BACK_MS / tickMs);
  }

  /** The tick of the table, as far as can be told without a lock. */
  get tick(): number {
    return this.#memory.tick[0];
  }

  /** How many ids a lease has at most, unless more are asked for. */
  get maxLease(): number {
    return Math.floor(this.#idsPerTick / this.#leaseParts);
  }

  /** The secret by which sources are spread over places. */
  get secret(): Uint32Array {
    return this.#memory.secret;
  }

  /**
   * Takes ids of a source. Allocates nothing.
   *
   * @param high The upper word of the source.
   * @param low The lower one.
   * @param count How many it asks for, 0 to 2^32 - 1.
   * @param tick The tick.
   * @returns How many it got: more than `count` if it has many left, fewer if it has fewer.
   */
  lease(high: number, low: number, count: number, tick: number): number {
    const memory = this.#memory;
    memory.lock();
    // Whatever a broken worker has left there, such as NaN, does not stay.
    if (!(tick <= memory.tick[0] && tick >= memory.tick[0] - this.#setBackTicks)) memory.tick[0] = tick;
    let leased = 0;
    if (tick === memory.tick[0]) {
      const place = this.#placeOf(high, low, tick);
      const spent = memory.places[place + IDS];
      const left = Math.max(this.#idsPerTick - spent, 0); // an earlier server may have allowed more
      leased = Math.min(Math.max(count, Math.floor(left / this.#leaseParts)), left);
      memory.places[place + IDS] = spent + leased;
    }
    memory.unlock();
    return leased;
  }

  /**
   * Gives back ids of a source that were leased and not used. They are lost if the table is in a later tick.
   *
   * @param high The upper word of the source.
   * @param low The lower one.
   * @param count How many.
   * @param tick The tick of the lease.
   */
  release(high: number, low: number, count: number, tick: number): void {
    const memory = this.#memory;
    memory.lock();
    if (tick === memory.tick[0]) memory.places[this.#placeOf(high, low, tick) + IDS] -= count;
    memory.unlock();
  }

  /** Returns the index of the first word of a source's place, which it may share. */
  #placeOf(high: number, low: number, tick: number): number {
    const place = this.#places.find(high, low, tickWordOf(tick));
    return place === NO_PLACE ? this.#places.first(high, low) : place;
  }
}
