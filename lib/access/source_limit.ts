import { checkInteger } from "../base/check.ts";
import type { SourceAddress } from "../udp/source_address.ts";

/** What a {@linkcode SourceLimit} is made from. */
export interface SourceLimitOptions {
  /** How many ids a source may have in a window, 1 to 2^32 - 1. */
  idsPerWindow: number;
  /** For how many sources there is a place, a power of 2 from 8 to 2^17, of 16 bytes each. Default: 2^14. */
  places?: number;
}

const MAX_IDS = 2 ** 32 - 1;
const MIN_PLACES = 8;
/** As many as the hash can tell apart. */
const MAX_PLACES = 2 ** 17;
const DEFAULT_PLACES = 2 ** 14;

/** In how many places, one after the other, a source is looked for. */
const RUN = 8;

// A place, in 32-bit words: the source (two words), the window it was last used in, and the ids used in that window.
const PLACE_WORDS = 4;
const WINDOW = 2;
const USED = 3;

/**
 * Keeps one source from using up the ids of all others: each may have so many in a window, such as a tick of the generator.
 *
 * A source is an IPv4 address, or the first 64 bits of an IPv6 address, since whoever has one address of such a network has
 * them all.
 *
 * Memory is bounded, and nothing is ever swept up: a place that was last used in an earlier window is free. A source that
 * finds its run of places taken, which happens when there are more sources in a window than about half of the places,
 * shares the ids of the source in the first of them. So no source ever gets more than its ids; it can get fewer, but those
 * that it shares with are chosen by a hash with a secret of this process, not by a sender.
 *
 * **What it is not**: a defence against forged senders. Whoever sends from a thousand addresses that are not theirs has a
 * thousand times the ids (and sees none of them). Against those there are `allow_list.ts` and `mac.ts`.
 */
export class SourceLimit {
  readonly #idsPerWindow: number;
  readonly #places: Uint32Array;
  /** The number of places, less one. */
  readonly #mask: number;
  readonly #secret = crypto.getRandomValues(new Uint32Array(5));

  #window = NaN;
  /** Counts the windows, so that a place keeps 32 bits of them; from 1, as 0 is a place that was never used. */
  #windowNumber = 0;

  /**
   * Makes a limit.
   *
   * @param options How many ids, and for how many sources.
   * @throws {TypeError | RangeError} If a number is out of its range.
   */
  constructor(options: SourceLimitOptions) {
    const { idsPerWindow, places = DEFAULT_PLACES } = options;
    this.#idsPerWindow = checkInteger("idsPerWindow", idsPerWindow, 1, MAX_IDS);
    checkInteger("places", places, MIN_PLACES, MAX_PLACES);
    if ((places & (places - 1)) !== 0) throw new RangeError(`places must be a power of 2: got ${places}`);
    this.#places = new Uint32Array(places * PLACE_WORDS);
    this.#mask = places - 1;
  }

  /**
   * Takes ids from what a source may still have. Allocates nothing.
   *
   * @param source Who asks.
   * @param count How many ids it asks for, 0 to 2^32 - 1.
   * @param window The number of the window. All sources have all their ids again whenever it is another than the last time.
   * @returns How many of them it may have: `count` or what is left, 0 if that is nothing.
   */
  take(source: SourceAddress, count: number, window: number): number {
    if (window !== this.#window) {
      this.#window = window;
      this.#windowNumber = (this.#windowNumber + 1) >>> 0 || 1;
    }
    const place = this.#placeOf(source);
    const used = this.#places[place + USED];
    const granted = Math.min(count, this.#idsPerWindow - used);
    this.#places[place + USED] = used + granted;
    return granted;
  }

  /**
   * Gives ids back that a source has just taken in this window and did not get.
   *
   * @param source Who took them.
   * @param count How many, no more than it took.
   */
  giveBack(source: SourceAddress, count: number): void {
    this.#places[this.#placeOf(source) + USED] -= count;
  }

  /** Where the first word of a source's place is: its own, or the one that it shares. */
  #placeOf(source: SourceAddress): number {
    const { words, isIPv4 } = source;
    const high = isIPv4 ? words[2] : words[0];
    const low = isIPv4 ? words[3] : words[1];
    const places = this.#places;
    const windowNumber = this.#windowNumber;
    const home = this.#hash(high, low);
    for (let i = 0; i < RUN; i++) {
      const place = ((home + i) & this.#mask) * PLACE_WORDS;
      // No place becomes free within a window, so a source is never behind a free one.
      if (places[place + WINDOW] !== windowNumber) {
        places[place] = high;
        places[place + 1] = low;
        places[place + WINDOW] = windowNumber;
        places[place + USED] = 0;
        return place;
      }
      if (places[place] === high && places[place + 1] === low) return place;
    }
    return home * PLACE_WORDS;
  }

  /**
   * A number of a place. Multilinear hashing (Lemire and Kaser, "Strongly universal string hashing is fast", 2014): of
   * 16-bit characters and 32-bit secrets, the upper 17 bits of the sum are such that two sources, whichever a sender
   * chooses, have the same hash with no more than the probability 2^-17.
   */
  #hash(high: number, low: number): number {
    const secret = this.#secret;
    const sum = secret[0] + Math.imul(secret[1], high >>> 16) + Math.imul(secret[2], high & 0xffff) +
      Math.imul(secret[3], low >>> 16) + Math.imul(secret[4], low & 0xffff);
    return sum >>> 15 & this.#mask;
  }
}
