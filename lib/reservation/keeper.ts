import { unrefTimer } from "../base/unref_timer.ts";
import { NodeHeldError, StoreError } from "./errors.ts";
import type { ReservationHolder } from "./holder.ts";

/** How long the keeper waits for the store to make a change, in ms. */
const STORE_TIMEOUT_MS = 2000;

/** Options for {@linkcode ReservationKeeper}. */
export interface KeeperOptions {
  /** Throws if the reservation must not be renewed now. Left out: it may always be renewed. */
  readonly check?: () => void;
  /** The last tick used: it may be past the clock's. */
  readonly usedTick: () => number;
  /** Called with the mark after every successful renewal. */
  readonly onMark: (mark: number) => void;
  /** Called with the reason after every failed renewal. The next one follows, unless another holder has the node. */
  readonly onError: (error: unknown) => void;
}

/**
 * Renews a reservation in the background, at once and then every one or two seconds. A keeper does not keep the process
 * alive.
 */
export class ReservationKeeper {
  readonly #holder: ReservationHolder;
  readonly #options: KeeperOptions;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #stopped = false;
  #renewal: Promise<void>;

  /**
   * Begins to renew.
   *
   * @param holder The holder of the reservation.
   * @param options What the keeper asks, and whom it tells.
   */
  constructor(holder: ReservationHolder, options: KeeperOptions) {
    this.#holder = holder;
    this.#options = options;
    this.#renewal = this.#renew();
  }

  /** Renews no more. */
  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    await this.#renewal;
  }

  /**
   * Renews no more, and gives the node back, unless another holder has it or the store does not answer.
   *
   * @param firstUnusedTick See `ReservationHolder.release`.
   */
  async release(firstUnusedTick?: number): Promise<void> {
    if (this.#stopped) return;
    await this.stop();
    // If the store does not make the change, the next holder has to watch whether this one is gone.
    await withinTime(this.#holder.release(firstUnusedTick)).catch(() => {});
  }

  #schedule(afterMs: number): void {
    this.#timer = setTimeout(() => this.#renewal = this.#renew(), afterMs);
    unrefTimer(this.#timer);
  }

  async #renew(): Promise<void> {
    let nextMs: number;
    try {
      this.#options.check?.();
      await withinTime(this.#holder.renew(this.#options.usedTick()));
      this.#options.onMark(this.#holder.mark);
      nextMs = this.#holder.renewAfterMs;
    } catch (error) {
      this.#options.onError(error);
      if (error instanceof NodeHeldError) this.#stopped = true;
      nextMs = this.#holder.retryAfterMs;
    }
    if (!this.#stopped) this.#schedule(nextMs);
  }
}

/** Waits for a change of the record, but not for ever. A change that the store makes later does no harm. */
async function withinTime(promise: Promise<void>): Promise<void> {
  const message = `the reservation store did not answer within ${STORE_TIMEOUT_MS} ms`;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new StoreError(message)), STORE_TIMEOUT_MS);
  });
  try {
    await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
