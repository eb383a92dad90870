import { MacMemory } from "./mac_memory.ts";

/** How many stale requests are answered at once. After a start, all requests under way are stale for a second. */
export const STALE_BURST = 10_000;

/** How many stale requests are answered a second, in the long run. An answer takes a few microseconds. */
export const STALE_PER_SECOND = 1_000;

/** The memory takes 2 MiB. */
const DEFAULT_CAPACITY = 2 ** 16;

/**
 * Decides which stale requests are answered with the time, since who has captured old requests can repeat them for
 * ever.
 *
 * An answer to one request is remembered, and the request is not answered again until `capacity` others have been. In a
 * second, `STALE_PER_SECOND` are answered, after a burst of `STALE_BURST`. So one captured request gets one answer;
 * with others, 65,536 at least, one a minute. A client with a wrong clock gets the time with its first request, since
 * each of its transmissions is another request.
 */
export class StaleAnswers {
  readonly #answered: MacMemory;
  /** How many may be answered now. */
  #left = STALE_BURST;
  #filledMs = 0;

  /**
   * Makes a memory of no answers.
   *
   * @param capacity How many answered requests it remembers at least, a power of 2 up to 2^25. Each takes 32 bytes.
   * Left out: 2^16.
   */
  constructor(capacity: number = DEFAULT_CAPACITY) {
    this.#answered = new MacMemory(capacity);
  }

  /** Whether a stale request was answered, as far as the memory reaches. */
  has(macHigh: number, macLow: number): boolean {
    return this.#answered.has(macHigh, macLow);
  }

  /**
   * Takes the right to answer a stale request that was not answered before. Allocates nothing.
   *
   * @param macHigh The first 32 bits of the request's MAC, which must have been checked.
   * @param macLow The next 32 bits.
   * @param nowMs The time, in ms since 1970.
   * @returns Whether to answer.
   */
  take(macHigh: number, macLow: number, nowMs: number): boolean {
    this.#refill(nowMs);
    if (this.#left < 1) return false;
    this.#left--;
    this.#answered.add(macHigh, macLow, nowMs);
    return true;
  }

  /** Adds what the time since the last call allows; nothing if the clock has stepped back. */
  #refill(nowMs: number): void {
    const passedMs = Math.max(nowMs - this.#filledMs, 0);
    this.#left = Math.min(this.#left + passedMs * STALE_PER_SECOND / 1000, STALE_BURST);
    this.#filledMs = nowMs;
  }
}
