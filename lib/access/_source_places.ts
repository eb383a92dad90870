import { PLACE_WORDS } from "../node/source_memory.ts";

/** In how many consecutive places a source may lie. */
const RUN = 8;

/** The hash tells no more places apart. */
const MAX_PLACES = 2 ** 17;

// The words of a place after the two of its source: see `SourceMemory`.
const TICK = 2;
/** The index of the ids in a place. */
export const IDS = 3;

/** What {@linkcode SourcePlaces.find} returns if a source has no place. */
export const NO_PLACE = -1;

/**
 * A hash table of the sources of a tick. Memory is bounded, and needs no sweeping: a place that was last used in an
 * earlier tick is free.
 */
export class SourcePlaces {
  readonly #words: Uint32Array;
  readonly #secret: Uint32Array;
  /** The number of places, less one. */
  readonly #mask: number;

  /**
   * Uses memory as a table.
   *
   * @param words The places, as many as a power of 2 from 8 to 2^17: see `SourceMemory`.
   * @param secret Five random numbers.
   * @throws {RangeError} If there is another number of places.
   */
  constructor(words: Uint32Array, secret: Uint32Array) {
    const places = words.length / PLACE_WORDS;
    if (!(places >= RUN && places <= MAX_PLACES) || (places & (places - 1)) !== 0) {
      throw new RangeError(`places must be a power of 2 from ${RUN} to ${MAX_PLACES}: got ${places}`);
    }
    this.#words = words;
    this.#secret = Uint32Array.from(secret);
    this.#mask = places - 1;
  }

  /**
   * Finds the place of a source, or takes a free one for it, with 0 ids. Memory that others share is sound after each
   * store: a place is free until the last of them.
   *
   * @param high The upper word of the source.
   * @param low The lower one.
   * @param tickWord Stands for the tick: see {@linkcode tickWordOf}.
   * @returns The index of the place's first word; {@linkcode NO_PLACE} if all places of its run are other sources'.
   */
  find(high: number, low: number, tickWord: number): number {
    const words = this.#words;
    const start = this.first(high, low);
    for (let i = 0; i < RUN; i++) {
      const place = (start + i * PLACE_WORDS) & (words.length - 1);
      // No place becomes free within a tick, so a source is never behind a free one.
      if (words[place + TICK] !== tickWord) {
        words[place + IDS] = 0;
        words[place] = high;
        words[place + 1] = low;
        words[place + TICK] = tickWord;
        return place;
      }
      if (words[place] === high && words[place + 1] === low) return place;
    }
    return NO_PLACE;
  }

  /**
   * The first place of a source's run. Multilinear hashing (Lemire and Kaser, "Strongly universal string hashing is
   * fast", 2014) of 16-bit characters with 32-bit secrets: any two sources that a sender chooses have the same upper 17
   * bits of the sum with the probability 2^-17 at most.
   *
   * @returns The index of the place's first word.
   */
  first(high: number, low: number): number {
    const secret = this.#secret;
    const sum = secret[0] + Math.imul(secret[1], high >>> 16) + Math.imul(secret[2], high & 0xffff) +
      Math.imul(secret[3], low >>> 16) + Math.imul(secret[4], low & 0xffff);
    return (sum >>> 15 & this.#mask) * PLACE_WORDS;
  }
}

/**
 * A word that stands for a tick of 0 or later, and for no other one within 2^32 - 2 ticks. It is not 0, as in a place
 * that was never used.
 */
export function tickWordOf(tick: number): number {
  return tick % (2 ** 32 - 1) + 1 >>> 0;
}
