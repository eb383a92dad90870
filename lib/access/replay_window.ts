import { checkInteger } from "../base/check.ts";

/** The maximum age of a request, in ms. */
export const MAX_AGE_MS = 30_000;

/** How far the time of a request may be ahead of the server's clock, in ms. */
export const MAX_REQUEST_AHEAD_MS = 1_000;

/** Whether a {@linkcode ReplayWindow} admits a request. */
export const Freshness = {
  /** The window has not seen the request before, and admits it. */
  FRESH: 0,
  /** The window has admitted the request before. */
  SEEN: 1,
  /** The request's time is too long ago, or too far ahead, for the window to tell. */
  STALE: 2,
} as const;

/** One of the values of {@linkcode Freshness}. */
export type Freshness = typeof Freshness[keyof typeof Freshness];

/** A window of this capacity takes a gibibyte. */
const MAX_CAPACITY = 2 ** 25;
const DEFAULT_CAPACITY = 2 ** 18;

/** A set of requests, by 64 bits of their MACs. MACs are as good as random, so the bits serve as their own hash. */
class SeenSet {
  /** The highest time of any request that was ever in the set, in ms. */
  maxTimeMs = -Infinity;
  size = 0;
  /** Two words for each request. The second is 0 in an empty place. The set is never more than half full. */
  readonly #words: Uint32Array;
  readonly #mask: number;

  constructor(capacity: number) {
    this.#words = new Uint32Array(capacity * 4);
    this.#mask = capacity * 2 - 1;
  }

  /** Returns the index of a request's first word, or of the place that it would get. */
  find(high: number, low: number): number {
    const words = this.#words;
    let place = high & this.#mask;
    while ((words[2 * place] !== high || words[2 * place + 1] !== low) && words[2 * place + 1] !== 0) {
      place = (place + 1) & this.#mask;
    }
    return 2 * place;
  }

  isEmptyAt(index: number): boolean {
    return this.#words[index + 1] === 0;
  }

  addAt(index: number, high: number, low: number, timeMs: number): void {
    this.#words[index] = high;
    this.#words[index + 1] = low;
    this.size++;
    if (timeMs > this.maxTimeMs) this.maxTimeMs = timeMs;
  }

  clear(): void {
    this.#words.fill(0);
    this.size = 0;
  }
}

/**
 * Admits every request once.
 *
 * The window remembers the requests that it admitted, in bounded memory: at least `capacity` of them, at most twice as
 * many. It refuses the requests that it had to forget by their time: it keeps a floor that is not below the time of any
 * forgotten request, and a request whose time is not above the floor is stale. So under load, the window is shorter
 * than half a minute. A client that is told so sends its request again, with a time above the floor.
 *
 * An earlier process may have admitted requests with times up to `MAX_REQUEST_AHEAD_MS` from now, so a new window has
 * its floor there. It relies on the clock not being set back between the two processes.
 */
export class ReplayWindow {
  readonly #capacity: number;
  /** The latest requests, and those before them. */
  #recent: SeenSet;
  #earlier: SeenSet;
  /** Requests with this time or an earlier one are stale, in ms. It never falls. */
  #floorMs: number;

  /**
   * Makes a window.
   *
   * @param nowMs The time, in ms since 1970.
   * @param capacity How many requests the window remembers at least, a power of 2 up to 2^25. Each takes 32 bytes. Left
   * out: 2^18, which take 8 MiB.
   * @throws {TypeError | RangeError} If the capacity is not such a number.
   */
  constructor(nowMs: number, capacity = DEFAULT_CAPACITY) {
    this.#capacity = checkInteger("capacity", capacity, 1, MAX_CAPACITY);
    if ((capacity & (capacity - 1)) !== 0) throw new RangeError(`capacity must be a power of 2: got ${capacity}`);
    this.#recent = new SeenSet(capacity);
    this.#earlier = new SeenSet(capacity);
    this.#floorMs = nowMs + MAX_REQUEST_AHEAD_MS;
  }

  /**
   * Admits a request or refuses it. Allocates nothing. The caller must have checked the MAC: other requests would fill
   * the memory.
   *
   * @param macHigh The first 32 bits of the request's MAC.
   * @param macLow The next 32 bits.
   * @param timeMs When the client sent the request, in ms since 1970.
   * @param nowMs The time, in ms since 1970.
   * @returns `FRESH` once for every request that is neither too old nor too far ahead.
   */
  admit(macHigh: number, macLow: number, timeMs: number, nowMs: number): Freshness {
    if (timeMs <= this.#floorMs || timeMs < nowMs - MAX_AGE_MS || timeMs > nowMs + MAX_REQUEST_AHEAD_MS) {
      return Freshness.STALE;
    }

    // One of the 64 bits is always 1, so that the second word is never 0.
    const low = (macLow | 1) >>> 0;
    if (!this.#earlier.isEmptyAt(this.#earlier.find(macHigh, low))) return Freshness.SEEN;
    const index = this.#recent.find(macHigh, low);
    if (!this.#recent.isEmptyAt(index)) return Freshness.SEEN;
    this.#recent.addAt(index, macHigh, low, timeMs);
    if (this.#recent.size === this.#capacity) this.#forgetEarlier();
    return Freshness.FRESH;
  }

  /**
   * Returns the time that a request should have now, in ms since 1970: now, or a little later. If it is later by more
   * than `MAX_REQUEST_AHEAD_MS`, the clock has stepped back, and the window admits no request until the clock has
   * caught up.
   *
   * @param nowMs The time, in ms since 1970.
   */
  freshTimeMs(nowMs: number): number {
    return Math.max(nowMs, this.#floorMs + 1);
  }

  #forgetEarlier(): void {
    this.#floorMs = Math.max(this.#floorMs, this.#earlier.maxTimeMs);
    this.#earlier.clear();
    [this.#recent, this.#earlier] = [this.#earlier, this.#recent];
  }
}
