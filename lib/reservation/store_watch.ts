import type { GlobalIdError } from "../base/errors.ts";
import type { CheckedStore } from "./checked_store.ts";
import { StoreWentBackError } from "./errors.ts";
import type { StoreHistory } from "./store.ts";
import type { StoreClock } from "./store_clock.ts";

/** Tells the operator when a store that machines share has gone back, or its time and the clock are too far apart. */
export class StoreWatch {
  readonly #store: CheckedStore;
  readonly #storeClock: StoreClock | undefined;
  readonly #warn: (warning: GlobalIdError) => void;
  #history: StoreHistory | undefined;
  #wasOff = false;

  /**
   * Begins.
   *
   * @param store The store.
   * @param storeClock The store's time, if machines share the store.
   * @param warn Told once of each.
   */
  constructor(store: CheckedStore, storeClock: StoreClock | undefined, warn: (warning: GlobalIdError) => void) {
    this.#store = store;
    this.#storeClock = storeClock;
    this.#warn = warn;
  }

  /** Looks at what the store has said with its last answer. */
  look(): void {
    this.#warnOfSkew();
    this.#warnOfHistory();
  }

  #warnOfSkew(): void {
    const isOff = this.#storeClock?.isOff ?? false;
    if (isOff && !this.#wasOff && this.#storeClock !== undefined) this.#warn(this.#storeClock.skewError);
    this.#wasOff = isOff;
  }

  #warnOfHistory(): void {
    const before = this.#history;
    const now = this.#history = this.#store.history;
    if (before === undefined || now === undefined) return;
    if (now.id !== before.id) {
      this.#warnWentBack(`the reservation store is of the history ${now.id} now, and was of ${before.id}`);
    } else if (now.revision < before.revision) {
      this.#warnWentBack(`the reservation store is at the revision ${now.revision}, and was at ${before.revision}`);
    }
  }

  #warnWentBack(what: string): void {
    this.#warn(
      new StoreWentBackError(
        `${what}: it was restored, or has failed over; no id comes twice, and this holder goes on`,
      ),
    );
  }
}
