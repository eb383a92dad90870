import { MacMemory } from "./mac_memory.ts";

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

const DEFAULT_CAPACITY = 2 ** 18;

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
  readonly #admitted: MacMemory;
  /** Requests with this time or an earlier one may have been admitted by an earlier process, in ms. */
  readonly #beginMs: number;

  /**
   * Makes a window.
   *
   * @param nowMs The time, in ms since 1970.
   * @param capacity How many requests the window remembers at least, a power of 2 up to 2^25. Each takes 32 bytes. Left
   * out: 2^18, which take 8 MiB.
   * @throws {TypeError | RangeError} If the capacity is not such a number.
   */
  constructor(nowMs: number, capacity: number = DEFAULT_CAPACITY) {
    this.#admitted = new MacMemory(capacity);
    this.#beginMs = nowMs + MAX_REQUEST_AHEAD_MS;
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
    if (this.#admitted.has(macHigh, macLow)) return Freshness.SEEN;
    if (timeMs <= this.#floorMs || timeMs < nowMs - MAX_AGE_MS || timeMs > nowMs + MAX_REQUEST_AHEAD_MS) {
      return Freshness.STALE;
    }
    this.#admitted.add(macHigh, macLow, timeMs);
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

  /** Requests with this time or an earlier one are stale, in ms. It never falls. */
  get #floorMs(): number {
    return Math.max(this.#beginMs, this.#admitted.forgottenTimeMs);
  }
}
