import { checkInteger } from "../base/check.ts";
import type { SourceAddress } from "../udp/source_address.ts";

/** The settings of a {@linkcode SourceLimit}. */
export interface SourceLimitOptions {
  /** How many ids a source may have in a window, 1 to 2^32 - 1. */
  idsPerWindow: number;
  /**
   * How many places for sources to allocate, a power of 2 from 8 to 2^17. A place takes 16 bytes.
   *
   * @default {16384}
   */
  places?: number;
}

const MAX_IDS = 2 ** 32 - 1;
const MIN_PLACES = 8;
/** The hash tells no more places apart. */
const MAX_PLACES = 2 ** 17;
const DEFAULT_PLACES = 2 ** 14;

/** In how many consecutive places a source may lie. */
const RUN = 8;

// A place has four 32-bit words: the source (two words), the window in which it was last used, and the ids spent in
// that window.
const PLACE_WORDS = 4;
const WINDOW = 2;
const SPENT = 3;

/**
 * Limits the ids of each source in a window, such as a tick of the generator, so that no source uses up the ids of all
 * others.
 *
 * A source is an IPv4 address, or the first 64 bits of an IPv6 address, since the owner of one address of such a
 * network owns them all.
 *
 * Memory is bounded, and needs no sweeping: a place that was last used in an earlier window is free. When a window has
 * more sources than about half of the places, a source may find all places of its run in use. It then shares the ids of
 * the source in the first of them. So a source never gets more than its ids. It can get fewer, but a hash with a secret
 * of this process chooses whom it shares with, not a sender.
 *
 * **Not covered**: spoofed senders. A host that sends from a thousand addresses of others gets a thousand times the ids
 * (and sees none of them). `allow_list.ts` and `mac.ts` help against it.
 */
export class SourceLimit {
  readonly #idsPerWindow: number;
  readonly #places: Uint32Array;
  /** The number of places, less one. */
  readonly #mask: number;
  readonly #secret = crypto.getRandomValues(new Uint32Array(5));

  #window = NaN;
  /**
   * Counts the windows, so that a place needs 32 bits for its window. Never 0: that marks a place that was never used.
   */
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
   * Spends ids of a source. Allocates nothing.
   *
   * @param source The source.
   * @param count How many ids it asks for, 0 to 2^32 - 1.
   * @param window The number of the window. Whenever it differs from the last call's, all sources have all of their ids
   * again.
   * @returns How many ids the source may have: `count`, or the rest of its ids, which may be 0.
   */
  spend(source: SourceAddress, count: number, window: number): number {
    if (window !== this.#window) {
      this.#window = window;
      this.#windowNumber = (this.#windowNumber + 1) >>> 0 || 1;
    }
    const place = this.#placeOf(source);
    const spent = this.#places[place + SPENT];
    const granted = Math.min(count, this.#idsPerWindow - spent);
    this.#places[place + SPENT] = spent + granted;
    return granted;
  }

  /**
   * Refunds ids that a source has just spent in this window and did not get.
   *
   * @param source The source.
   * @param count How many ids, no more than it spent.
   */
  refund(source: SourceAddress, count: number): void {
    this.#places[this.#placeOf(source) + SPENT] -= count;
  }

  /** Returns the index of the first word of a source's place, which it may share. */
  #placeOf(source: SourceAddress): number {
    const { words, isIPv4 } = source;
    const high = isIPv4 ? words[2] : words[0];
    const low = isIPv4 ? words[3] : words[1];
    const places = this.#places;
    const windowNumber = this.#windowNumber;
    const start = this.#hash(high, low);
    for (let i = 0; i < RUN; i++) {
      const place = ((start + i) & this.#mask) * PLACE_WORDS;
      // No place becomes free within a window, so a source is never behind a free one.
      if (places[place + WINDOW] !== windowNumber) {
        places[place] = high;
        places[place + 1] = low;
        places[place + WINDOW] = windowNumber;
        places[place + SPENT] = 0;
        return place;
      }
      if (places[place] === high && places[place + 1] === low) return place;
    }
    return start * PLACE_WORDS;
  }

  /**
   * Hashes a source to the number of a place. Multilinear hashing (Lemire and Kaser, "Strongly universal string hashing
   * is fast", 2014) of 16-bit characters with 32-bit secrets: any two sources that a sender chooses have the same upper
   * 17 bits of the sum with the probability 2^-17 at most.
   */
  #hash(high: number, low: number): number {
    const secret = this.#secret;
    const sum = secret[0] + Math.imul(secret[1], high >>> 16) + Math.imul(secret[2], high & 0xffff) +
      Math.imul(secret[3], low >>> 16) + Math.imul(secret[4], low & 0xffff);
    return sum >>> 15 & this.#mask;
  }
}
