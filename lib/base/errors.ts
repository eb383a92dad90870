/**
 * What all errors of this package have in common, so that one `instanceof` catches them. Wrong arguments are none of
 * them: those throw what JavaScript has for it, `TypeError`, `RangeError` and `SyntaxError`.
 */
export class GlobalIdError extends Error {
  /** The name of the class, as for every `Error`. */
  override name = "GlobalIdError";
}

/** Trouble that passes: the same call may well succeed later. */
export abstract class RetryableError extends GlobalIdError {
  /** The name of the class. */
  override name = "RetryableError";
  /** After how many ms a retry makes sense, a whole number; 0: at once. */
  abstract readonly retryAfterMs: number;
}

/** What the call was made on is closed. */
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

/** The clock is behind: behind the last tick used, or behind the layout's epoch. */
export class ClockError extends RetryableError {
  /** The name of the class. */
  override name = "ClockError";

  /**
   * Makes the error.
   *
   * @param tick The clock's tick; negative before the epoch, `NaN` if the clock did not give a time.
   * @param firstUsableTick The first tick that the generator may use: the last one it used, or 0 before the epoch.
   * @param retryAfterMs How long until the clock is there if it goes on at its pace, in whole ms, at least 1.
   */
  constructor(readonly tick: number, readonly firstUsableTick: number, readonly retryAfterMs: number) {
    super(
      Number.isNaN(tick)
        ? "the clock did not give a time: clock.now() must return ms since the Unix epoch"
        : `the clock is behind, in tick ${tick}, and ids go on in tick ${firstUsableTick}: ` +
          `wait ${retryAfterMs} ms, or put the clock right`,
    );
  }
}
