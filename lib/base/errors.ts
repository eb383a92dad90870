/**
 * The base of all errors of this package, so that one `instanceof` catches them. Wrong arguments are not among them:
 * for those, calls throw JavaScript's own `TypeError`, `RangeError` and `SyntaxError`.
 *
 * @example Everything that this package throws
 * ```ts
 * import { GlobalIdError, IdGenerator } from "@global-id/global-id";
 *
 * const ids = new IdGenerator({ nodeId: 7 });
 * try {
 *   console.log(ids.nextId());
 * } catch (error) {
 *   if (!(error instanceof GlobalIdError)) throw error;
 *   console.log(error.message); // no ids are left in tick 217633248: the next one begins in 417 ms
 * }
 * ```
 */
export class GlobalIdError extends Error {
  /** The name of the class, as for every `Error`. */
  override name = "GlobalIdError";
}

/**
 * An error that passes: the same call may well succeed later.
 *
 * @example Try again when that makes sense
 * ```ts
 * import { IdGenerator, RetryableError } from "@global-id/global-id";
 *
 * const ids = new IdGenerator({ nodeId: 7 });
 * function tryAgain(error: unknown) {
 *   if (!(error instanceof RetryableError)) throw error;
 *   return new Promise((resolve) => setTimeout(resolve, error.retryAfterMs));
 * }
 * try {
 *   ids.nextId();
 * } catch (error) {
 *   await tryAgain(error);
 * }
 * ```
 */
export abstract class RetryableError extends GlobalIdError {
  /** The name of the class. */
  override name = "RetryableError";
  /** After how many ms a retry makes sense, a whole number; 0: at once. */
  abstract readonly retryAfterMs: number;
}

/**
 * The generator or the client is closed.
 *
 * @example A generator that is closed
 * ```ts
 * import { ClosedError, IdGenerator } from "@global-id/global-id";
 * import { assertThrows } from "@std/assert";
 *
 * const ids = new IdGenerator({ nodeId: 7 });
 * await ids.close();
 * assertThrows(() => ids.nextId(), ClosedError, "the generator is closed");
 * ```
 */
export class ClosedError extends GlobalIdError {
  /** The name of the class. */
  override name = "ClosedError";

  /**
   * Makes the error.
   *
   * @param subject The closed object, as the message begins: `"the client"`.
   */
  constructor(subject: string) {
    super(`${subject} is closed`);
  }
}

/**
 * The clock is behind the last tick used, or behind the layout's epoch, or it gave no time.
 *
 * @example A clock that was set back
 * ```ts
 * import { ClockError, IdGenerator } from "@global-id/global-id";
 * import { assertEquals, assertThrows } from "@std/assert";
 *
 * let now = Date.UTC(2030, 0, 1);
 * const ids = new IdGenerator({ nodeId: 7, clock: { now: () => now } });
 * now += 1000;
 * ids.nextId();
 * now -= 60_000;
 * const error = assertThrows(() => ids.nextId(), ClockError);
 * assertEquals(error.firstUsableTick - error.tick, 60);
 * assertEquals(error.retryAfterMs, 60_000);
 * ```
 */
export class ClockError extends RetryableError {
  /** The name of the class. */
  override name = "ClockError";

  /** The clock's tick; negative before the epoch, `NaN` if the clock gave no time. */
  readonly tick: number;
  /** The first tick that may have ids: the last one used, or 0 before the epoch. */
  readonly firstUsableTick: number;
  /** How long the clock takes to that tick at its pace, in whole ms, at least 1. */
  readonly retryAfterMs: number;

  /**
   * Makes the error.
   *
   * @param tick The clock's tick; negative before the epoch, `NaN` if the clock gave no time.
   * @param firstUsableTick The first tick that may have ids: the last one used, or 0 before the epoch.
   * @param retryAfterMs How long the clock takes to that tick at its pace, in whole ms, at least 1.
   */
  constructor(tick: number, firstUsableTick: number, retryAfterMs: number) {
    super(
      Number.isNaN(tick)
        ? "the clock did not give a time: clock.now() must return ms since the Unix epoch"
        : `the clock is behind, in tick ${tick}, and ids go on in tick ${firstUsableTick}: ` +
          `wait ${retryAfterMs} ms, or put the clock right`,
    );
    this.tick = tick;
    this.firstUsableTick = firstUsableTick;
    this.retryAfterMs = retryAfterMs;
  }
}

/**
 * The clock is past the last tick that the layout's time bits can hold. There will be no more ids, ever.
 *
 * @example A layout whose time is over
 * ```ts
 * import { IdGenerator, IdLayout, OutOfTimeError } from "@global-id/global-id";
 * import { assertThrows } from "@std/assert";
 *
 * const layout = new IdLayout({ timeBits: 20, sequenceBits: 10, nodeBits: 10, tickMs: 1000, epochMs: 0 }); // 12 days
 * assertThrows(() => new IdGenerator({ nodeId: 7, layout }), OutOfTimeError);
 * ```
 */
export class OutOfTimeError extends GlobalIdError {
  /** The name of the class. */
  override name = "OutOfTimeError";

  /** The clock's tick. */
  readonly tick: number;
  /** The last tick of the layout. */
  readonly maxTick: number;

  /**
   * Makes the error.
   *
   * @param tick The clock's tick.
   * @param maxTick The last tick of the layout.
   */
  constructor(tick: number, maxTick: number) {
    super(
      `the clock is in tick ${tick}, and the layout ends with tick ${maxTick}: ` +
        "put the clock right, or move to a layout with more time bits or a later epoch",
    );
    this.tick = tick;
    this.maxTick = maxTick;
  }
}
