import type { CheckedStore } from "./checked_store.ts";
import { ClockSkewError } from "./errors.ts";
import { SKEW_MS } from "./shared_store.ts";

/** How long the store's time is told by the monotonic clock before the store is asked again, in ms. */
const REFRESH_MS = 30_000;

/** What a {@linkcode StoreClock} works with. */
export interface StoreClockOptions {
  /** The store. */
  readonly store: CheckedStore;
  /** The machine's clock, in ms since the Unix epoch. */
  readonly clock: { now(): number };
  /** A clock that never steps, in ms; its zero may be anywhere. */
  readonly monotonicClock: { now(): number };
}

/**
 * The time of a store that machines share, as one of them knows it: what the store said last, and what has passed since
 * on the monotonic clock. If the store does not tell its time, the machine's clock stands for it.
 */
export class StoreClock {
  readonly #options: StoreClockOptions;
  /** When the store was last asked, on the monotonic clock, in ms. */
  #measuredMs = -Infinity;
  /** The store's time less that of the monotonic clock, in ms; never more than it is, but for the store's own error. */
  #offsetMs = 0;
  #skewMs = 0;

  /** The clock of a store that has not been asked yet. */
  constructor(options: StoreClockOptions) {
    this.#options = options;
  }

  /**
   * Asks the store for its time.
   *
   * @throws {unknown} What the store throws.
   */
  async measure(): Promise<void> {
    const { store, clock, monotonicClock } = this.#options;
    if (!this.isStores) return;
    const askedMs = clock.now();
    const storeMs = await store.now();
    this.#measuredMs = monotonicClock.now();
    this.#offsetMs = storeMs - this.#measuredMs;
    // The store has told its time at some moment between question and answer.
    this.#skewMs = Math.max(0, askedMs - storeMs) || Math.min(0, clock.now() - storeMs);
  }

  /**
   * Asks the store for its time if that was long ago, or the machine's clock was wrong then.
   *
   * @throws {unknown} What the store throws.
   */
  async refresh(): Promise<void> {
    const ageMs = this.#options.monotonicClock.now() - this.#measuredMs;
    if (ageMs >= REFRESH_MS || this.isOff) await this.measure();
  }

  /** Whether it is the store's own time, and not the machine's. */
  get isStores(): boolean {
    return this.#options.store.hasTime;
  }

  /** The store's time, in ms since the Unix epoch: at least so late is it there. */
  now(): number {
    const { clock, monotonicClock } = this.#options;
    return this.isStores ? monotonicClock.now() + this.#offsetMs : clock.now();
  }

  /** Whether the machine's clock and the store's time are further apart than allowed. */
  get isOff(): boolean {
    return Math.abs(this.#skewMs) > SKEW_MS;
  }

  /** What is wrong if they are. */
  get skewError(): ClockSkewError {
    return new ClockSkewError(this.#skewMs, SKEW_MS);
  }
}
