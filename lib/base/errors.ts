/**
 * What all errors of this package have in common, so that one `instanceof` catches them. Wrong arguments are none of them: those throw
 * what JavaScript has for it, `TypeError`, `RangeError` and `SyntaxError`.
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
