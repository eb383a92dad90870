import { RetryableError } from "../base/errors.ts";

/**
 * The tick's ids are used up. The next tick has more.
 *
 * @example A generator that was just made, which has no ids until the next tick
 * ```ts
 * import { IdGenerator, OutOfIdsError } from "@global-id/global-id";
 * import { assertThrows } from "@std/assert";
 *
 * let now = Date.UTC(2030, 0, 1);
 * const ids = new IdGenerator({ nodeId: 7, clock: { now: () => now } });
 * now += assertThrows(() => ids.nextId(), OutOfIdsError).retryAfterMs;
 * ids.nextId();
 * ```
 */
export class OutOfIdsError extends RetryableError {
  /** The name of the class. */
  override name = "OutOfIdsError";

  /** The tick whose ids are used up. */
  readonly tick: number;
  /** How long until the next tick begins, in whole ms, at least 1. */
  readonly retryAfterMs: number;

  /**
   * Makes the error.
   *
   * @param tick The tick whose ids are used up.
   * @param retryAfterMs How long until the next tick begins, in whole ms, at least 1.
   */
  constructor(tick: number, retryAfterMs: number) {
    super(`no ids are left in tick ${tick}: the next one begins in ${retryAfterMs} ms`);
    this.tick = tick;
    this.retryAfterMs = retryAfterMs;
  }
}

/**
 * The clock's tick is not reserved: the store is out of reach, or another holder has the node.
 *
 * @example A clock that steps past the reservation, which is renewed once a second
 * ```ts
 * import { IdGenerator, MemoryReservationStore, NotReservedError } from "@global-id/global-id";
 * import { assertThrows } from "@std/assert";
 *
 * let now = Date.UTC(2030, 0, 1);
 * const store = new MemoryReservationStore();
 * await using ids = await IdGenerator.open({ store, clock: { now: () => now } });
 * now += 60_000;
 * const error = assertThrows(() => ids.nextId(), NotReservedError);
 * console.log(error.cause); // what keeps the reservation from being renewed: nothing, here
 * ```
 */
export class NotReservedError extends RetryableError {
  /** The name of the class. */
  override name = "NotReservedError";

  /** The tick that should have had ids. */
  readonly tick: number;
  /** The first tick that is not reserved. */
  readonly mark: number;
  /** After how many ms a retry makes sense. */
  readonly retryAfterMs: number;

  /**
   * Makes the error.
   *
   * @param tick The tick that should have had ids.
   * @param mark The first tick that is not reserved.
   * @param retryAfterMs After how many ms a retry makes sense.
   * @param cause Why the reservation could not be renewed, if that is known.
   */
  constructor(tick: number, mark: number, retryAfterMs: number, cause?: unknown) {
    const why = cause instanceof Error ? `: ${cause.message}` : "";
    super(`tick ${tick} is not reserved, only ticks below ${mark} are${why}`, { cause });
    this.tick = tick;
    this.mark = mark;
    this.retryAfterMs = retryAfterMs;
  }
}
