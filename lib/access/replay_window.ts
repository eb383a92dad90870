import { checkInteger } from "../base/check.ts";

/** How old a request may be, in ms. */
export const MAX_AGE_MS = 30_000;

/** How far a request's time may be ahead of the clock here, in ms. */
export const MAX_AHEAD_MS = 1_000;

/** What a {@linkcode ReplayWindow} says of a request. */
export const Freshness = {
  /** It was never here before. From now on it was. */
  FRESH: 0,
  /** It was here before. */
  SEEN: 1,
  /** Its time is too long ago, or too far ahead, to tell. */
  STALE: 2,
} as const;

/** One of the values of {@linkcode Freshness}. */
export type Freshness = typeof Freshness[keyof typeof Freshness];

/** So many take a gibibyte. */
const MAX_CAPACITY = 2 ** 25;
const DEFAULT_CAPACITY = 2 ** 18;

/** Requests by 64 bits of their MACs, which are as good as random, so that they are their own hashes. */
class SeenSet {
  /** The highest time of any request that ever was in it, in ms. */
  maxTimeMs = -Infinity;
  size = 0;
  /** Two words each; the second is 0 where there is none. Never more than half full. */
  readonly #words: Uint32Array;
  readonly #mask: number;

  constructor(capacity: number) {
    this.#words = new Uint32Array(capacity * 4);
    this.#mask = capacity * 2 - 1;
  }

  /** Where it is, or where it would go: the index of its first word. */
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
 * Lets every request pass once.
 *
 * It remembers the requests that it let pass, in bounded memory: `capacity` of them at least and twice as many at most. What
 * it had to forget it refuses by its time: there is a floor, not below the time of anything that it forgot, and what is not
 * above the floor is stale. So under load, the window is shorter than half a minute; a client that is told so sends its
 * request again with a time that is above the floor.
 *
 * A new window has its floor where the requests are that an earlier process may have let pass: up to `MAX_AHEAD_MS` from now.
 * That the clock was not set back between the two, it takes on trust.
 */
export class ReplayWindow {
  readonly #capacity: number;
  /** The requests of late, and those before them. */
  #recent: SeenSet;
  #earlier: SeenSet;
  /** Requests with this time or an earlier one are stale, in ms. Only ever grows. */
  #floorMs: number;

  /**
   * Makes a window.
   *
   * @param nowMs The time, in ms since 1970.
   * @param capacity How many requests it remembers at least, a power of 2 up to 2^25; each takes 32 bytes. Default: 2^18,
   * and so 8 MiB.
   * @throws {TypeError | RangeError} If the capacity is not such a number.
   */
  constructor(nowMs: number, capacity = DEFAULT_CAPACITY) {
    this.#capacity = checkInteger("capacity", capacity, 1, MAX_CAPACITY);
    if ((capacity & (capacity - 1)) !== 0) throw new RangeError(`capacity must be a power of 2: got ${capacity}`);
    this.#recent = new SeenSet(capacity);
    this.#earlier = new SeenSet(capacity);
    this.#floorMs = nowMs + MAX_AHEAD_MS;
  }

  /**
   * Says whether a request is to pass. Allocates nothing. Only for requests whose MAC is good: others would fill the memory.
   *
   * @param macHigh The first 32 bits of its MAC.
   * @param macLow The 32 bits after them.
   * @param timeMs When it was sent, in ms since 1970.
   * @param nowMs The time, in ms since 1970.
   * @returns `FRESH` once for every request, if it is neither too old nor ahead.
   */
  admit(macHigh: number, macLow: number, timeMs: number, nowMs: number): Freshness {
    if (timeMs <= this.#floorMs || timeMs < nowMs - MAX_AGE_MS || timeMs > nowMs + MAX_AHEAD_MS) return Freshness.STALE;

    // Of 64 bits one is lost, so that the second word is never 0.
    const low = (macLow | 1) >>> 0;
    if (!this.#earlier.isEmptyAt(this.#earlier.find(macHigh, low))) return Freshness.SEEN;
    const index = this.#recent.find(macHigh, low);
    if (!this.#recent.isEmptyAt(index)) return Freshness.SEEN;
    this.#recent.addAt(index, macHigh, low, timeMs);
    if (this.#recent.size === this.#capacity) this.#forgetEarlier();
    return Freshness.FRESH;
  }

  /**
   * The time that a request would have to have now, in ms since 1970: now, or a little later. (If it is later by more than
   * `MAX_AHEAD_MS`, the clock has stepped back, and until it has caught up there is no such time.)
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
