import { checkInteger } from "../base/check.ts";

/** A memory of this capacity takes a gibibyte. */
const MAX_CAPACITY = 2 ** 25;

/** A set of requests, by 64 bits of their MACs. MACs are as good as random, so the bits serve as their own hash. */
class SeenSet {
  /** The highest time of the requests in the set, in ms; -Infinity if there are none. */
  maxTimeMs = -Infinity;
  size = 0;
  /** Two words for each request. The second is 0 in an empty place. The set is never more than half full. */
  readonly #words: Uint32Array;
  readonly #mask: number;

  constructor(capacity: number) {
    this.#words = new Uint32Array(capacity * 4);
    this.#mask = capacity * 2 - 1;
  }

  has(high: number, low: number): boolean {
    return this.#words[this.#find(high, low) + 1] !== 0;
  }

  add(high: number, low: number, timeMs: number): void {
    const index = this.#find(high, low);
    this.#words[index] = high;
    this.#words[index + 1] = low;
    this.size++;
    if (timeMs > this.maxTimeMs) this.maxTimeMs = timeMs;
  }

  clear(): void {
    this.#words.fill(0);
    this.size = 0;
    this.maxTimeMs = -Infinity;
  }

  /** Returns the index of a request's first word, or of the place that it would get. */
  #find(high: number, low: number): number {
    const words = this.#words;
    let place = high & this.#mask;
    while ((words[2 * place] !== high || words[2 * place + 1] !== low) && words[2 * place + 1] !== 0) {
      place = (place + 1) & this.#mask;
    }
    return 2 * place;
  }
}

/**
 * Remembers signed requests by 64 bits of their MACs, in bounded memory: the latest `capacity` of them at least, and
 * twice as many at most. Allocates nothing after it was made.
 *
 * The caller must have checked the MACs. A sender without the key could choose other bits so that the search for a
 * place takes long.
 */
export class MacMemory {
  readonly #capacity: number;
  /** The latest requests, and those before them. */
  #recent: SeenSet;
  #earlier: SeenSet;
  #forgottenTimeMs = -Infinity;

  /**
   * Makes an empty memory.
   *
   * @param capacity How many requests it remembers at least, a power of 2 up to 2^25. Each takes 32 bytes.
   * @throws {TypeError | RangeError} If the capacity is not such a number.
   */
  constructor(capacity: number) {
    this.#capacity = checkInteger("capacity", capacity, 1, MAX_CAPACITY);
    if ((capacity & (capacity - 1)) !== 0) throw new RangeError(`capacity must be a power of 2: got ${capacity}`);
    this.#recent = new SeenSet(capacity);
    this.#earlier = new SeenSet(capacity);
  }

  /** The highest time of all requests that were forgotten, in ms; -Infinity if there are none. */
  get forgottenTimeMs(): number {
    return this.#forgottenTimeMs;
  }

  /**
   * Whether the memory has a request.
   *
   * @param macHigh The first 32 bits of the request's MAC.
   * @param macLow The next 32 bits, of which the last does not count.
   */
  has(macHigh: number, macLow: number): boolean {
    const low = notZero(macLow);
    return this.#recent.has(macHigh, low) || this.#earlier.has(macHigh, low);
  }

  /**
   * Adds a request that the memory does not have.
   *
   * @param macHigh The first 32 bits of the request's MAC.
   * @param macLow The next 32 bits.
   * @param timeMs The request's time, in ms.
   */
  add(macHigh: number, macLow: number, timeMs: number): void {
    this.#recent.add(macHigh, notZero(macLow), timeMs);
    if (this.#recent.size === this.#capacity) this.#forgetEarlier();
  }

  #forgetEarlier(): void {
    this.#forgottenTimeMs = Math.max(this.#forgottenTimeMs, this.#earlier.maxTimeMs);
    this.#earlier.clear();
    [this.#recent, this.#earlier] = [this.#earlier, this.#recent];
  }
}

/** One of the 64 bits is always 1, so that the second word is never 0. */
function notZero(macLow: number): number {
  return (macLow | 1) >>> 0;
}
