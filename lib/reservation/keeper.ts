import { NodeHeldError, StoreError } from "./errors.ts";
import type { ReservationHolder } from "./holder.ts";

/** How often a reservation is renewed, in ms. */
const RENEW_MS = 1000;

/** How long the store has for one renewal, in ms, before the next one is tried. */
const STORE_TIMEOUT_MS = 2000;

/** What a {@linkcode ReservationKeeper} works with. */
export interface KeeperOptions {
  /** Throws if the reservation must not be renewed now. */
  readonly check: () => void;
  /** The last tick used: it may be past the clock's. */
  readonly usedTick: () => number;
  /** Takes note of the mark, after every renewal that went well. */
  readonly onMark: (mark: number) => void;
  /** Takes note of a renewal that failed. It is tried again, unless the node is another holder's now. */
  readonly onError: (error: unknown) => void;
}

/** Renews a reservation in the background, at once and then every second. It does not keep the process alive. */
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
   * @param options Whom to tell.
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
   * Renews no more, and gives the node back if it is this holder's still, and the store is there to take it.
   *
   * @param firstUnusedTick See `ReservationHolder.release`.
   */
  async release(firstUnusedTick?: number): Promise<void> {
    if (this.#stopped) return;
    await this.stop();
    // If it fails, the next holder has to wait to see that this one is gone.
    await withinTime(this.#holder.release(firstUnusedTick)).catch(() => {});
  }

  #schedule(): void {
    this.#timer = setTimeout(() => this.#renewal = this.#renew(), RENEW_MS);
    unref(this.#timer);
  }

  async #renew(): Promise<void> {
    try {
      this.#options.check();
      await withinTime(this.#holder.renew(this.#options.usedTick()));
      this.#options.onMark(this.#holder.mark);
    } catch (error) {
      this.#options.onError(error);
      if (error instanceof NodeHeldError) this.#stopped = true;
    }
    if (!this.#stopped) this.#schedule();
  }
}

/** The promise, but no longer than the store has. What it does later does no harm. */
async function withinTime(promise: Promise<void>): Promise<void> {
  const late = Promise.withResolvers<void>();
  const message = `the reservation store did not answer within ${STORE_TIMEOUT_MS} ms`;
  const timer = setTimeout(() => late.reject(new StoreError(message)), STORE_TIMEOUT_MS);
  try {
    await Promise.race([promise, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}

/** Lets the process end although the timer is still to come: Deno's way, then Node's. */
function unref(timer: unknown): void {
  if (typeof timer === "number") (globalThis as { Deno?: typeof Deno }).Deno?.unrefTimer(timer);
  else (timer as { unref?: () => void }).unref?.();
}
