/** A subject cannot be measured here; the message says what is missing. */
export class LeftOutError extends Error {
  /** The name of the class. */
  override name = "LeftOutError";
}
