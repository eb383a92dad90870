import { GlobalIdError, RetryableError } from "../base/errors.ts";

/** The tick's ids are used up. The next tick has more. */
export class OutOfIdsError extends RetryableError {
  /** The name of the class. */
  override name = "OutOfIdsError";

  /**
   * Makes the error.
   *
   * @param tick The tick whose ids are used up.
   * @param retryAfterMs How long until the next one begins, in whole ms, at least 1.
   */
  constructor(readonly tick: number, readonly retryAfterMs: number) {
    super(`no ids are left in tick ${tick}: the next one begins in ${retryAfterMs} ms`);
  }
}

/**
 * The clock's tick is not reserved: the reservation ran out, since the store is out of reach or another holder has the
 * node.
 */
export class NotReservedError extends RetryableError {
  /** The name of the class. */
  override name = "NotReservedError";

  /**
   * Makes the error.
   *
   * @param tick The tick that ids were wanted for.
   * @param mark The first tick that is not reserved.
   * @param retryAfterMs After how many ms to try again.
   * @param cause What keeps the reservation from being renewed, if that is known.
   */
  constructor(readonly tick: number, readonly mark: number, readonly retryAfterMs: number, cause?: unknown) {
    const why = cause instanceof Error ? `: ${cause.message}` : "";
    super(`tick ${tick} is not reserved, only ticks below ${mark} are${why}`, { cause });
  }
}

/** The clock is past the last tick that the layout's time bits can hold. There will be no more ids, ever. */
export class OutOfTimeError extends GlobalIdError {
  /** The name of the class. */
  override name = "OutOfTimeError";

  /**
   * Makes the error.
   *
   * @param tick The clock's tick.
   * @param maxTick The last tick of the layout.
   */
  constructor(readonly tick: number, readonly maxTick: number) {
    super(
      `the clock is in tick ${tick}, and the layout ends with tick ${maxTick}: ` +
        "put the clock right, or move to a layout with more time bits or a later epoch",
    );
  }
}
