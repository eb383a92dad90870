import { checkInteger } from "../base/check.ts";
import { PLACE_WORDS } from "../node/source_memory.ts";
import type { SourceAddress } from "../udp/source_address.ts";
import { IDS, NO_PLACE, SourcePlaces, tickWordOf } from "./_source_places.ts";
import type { SourceTable } from "./source_table.ts";

/** The settings of a {@linkcode SourceLimit}. */
export interface SourceLimitOptions {
  /** How many bits of an IPv6 address make a source, 32 to 64. */
  prefixBits: number;
  /**
   * For how many sources this limit keeps leases, a power of 2 from 8 to 2^17. A place takes 20 bytes.
   *
   * @default {16384}
   */
  places?: number;
}

const DEFAULT_PLACES = 2 ** 14;

/**
 * Limits the ids of each source in a tick, so that no source uses up the ids of all others.
 *
 * A source is an IPv4 address, or an IPv6 network of `prefixBits`: the owner of one address of such a network owns them
 * all.
 *
 * The workers of a node share a table of all sources. A request that had to lock it would wait for those of all other
 * workers, so a worker leases ids of a source ahead: a part of those that are left, and in the end one by one. Ids that
 * a worker has leased and does not need are lost to the source when the tick ends. With the parts that the server
 * takes, these are an eighth of its ids at most.
 *
 * **Not covered**: spoofed senders. A host that sends from a thousand addresses of others gets a thousand times the ids
 * (and sees none of them). `allow_list.ts` and `mac.ts` help against it.
 */
export class SourceLimit {
  readonly #table: SourceTable;
  /** The ids of a place are those that are leased and not spent. */
  readonly #places: SourcePlaces;
  readonly #words: Uint32Array;
  /** For each place, the word of the tick in which the table had no more ids for its source. */
  readonly #usedUpIn: Uint32Array;
  readonly #lowMask: number;

  /**
   * Makes a limit.
   *
   * @param table Where to lease ids.
   * @param options What a source is.
   * @throws {TypeError | RangeError} If a number is out of its range.
   */
  constructor(table: SourceTable, { prefixBits, places = DEFAULT_PLACES }: SourceLimitOptions) {
    checkInteger("prefixBits", prefixBits, 32, 64);
    this.#lowMask = prefixBits === 32 ? 0 : -1 << 64 - prefixBits >>> 0;
    this.#table = table;
    this.#words = new Uint32Array(places * PLACE_WORDS);
    this.#places = new SourcePlaces(this.#words, table.secret);
    this.#usedUpIn = new Uint32Array(places);
  }

  /** The latest tick in which any worker has spent ids, as far as can be told without a lock. */
  get tick(): number {
    return this.#table.tick;
  }

  /**
   * Spends ids of a source. Allocates nothing.
   *
   * @param source The source.
   * @param count How many ids it asks for, 0 to 2^32 - 1.
   * @param tick The tick.
   * @returns How many ids the source may have: `count`, or the rest of its ids, which may be 0.
   */
  spend(source: SourceAddress, count: number, tick: number): number {
    const high = this.#highOf(source);
    const low = this.#lowOf(source);
    const tickWord = tickWordOf(tick);
    const place = this.#places.find(high, low, tickWord);
    if (place === NO_PLACE) return this.#spendWithoutPlace(high, low, count, tick);
    let leased = this.#words[place + IDS];
    if (leased < count && this.#usedUpIn[place / PLACE_WORDS] !== tickWord) {
      leased += this.#table.lease(high, low, count - leased, tick);
      if (leased < count) this.#usedUpIn[place / PLACE_WORDS] = tickWord;
    }
    const granted = Math.min(count, leased);
    this.#words[place + IDS] = leased - granted;
    return granted;
  }

  /**
   * Refunds ids that a source has just spent and did not get.
   *
   * @param source The source.
   * @param count How many ids, no more than it spent.
   * @param tick The tick.
   */
  refund(source: SourceAddress, count: number, tick: number): void {
    const high = this.#highOf(source);
    const low = this.#lowOf(source);
    const place = this.#places.find(high, low, tickWordOf(tick));
    if (place !== NO_PLACE && this.#words[place + IDS] + count <= this.#table.maxLease) {
      this.#words[place + IDS] += count;
      return;
    }
    this.#table.release(high, low, count, tick);
    if (place !== NO_PLACE) this.#usedUpIn[place / PLACE_WORDS] = 0;
  }

  /** Spends ids of a source that no lease can be kept for. */
  #spendWithoutPlace(high: number, low: number, count: number, tick: number): number {
    const leased = this.#table.lease(high, low, count, tick);
    if (leased > count) this.#table.release(high, low, leased - count, tick);
    return Math.min(count, leased);
  }

  #highOf({ words, isIPv4 }: SourceAddress): number {
    return isIPv4 ? words[2] : words[0];
  }

  #lowOf({ words, isIPv4 }: SourceAddress): number {
    return isIPv4 ? words[3] : (words[1] & this.#lowMask) >>> 0;
  }
}
