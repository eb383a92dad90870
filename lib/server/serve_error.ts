import { GlobalIdError } from "../base/errors.ts";

/** The server cannot serve, or no longer; the message says why, and how to repair it. */
export class ServeError extends GlobalIdError {
  /** The name of the class. */
  override name = "ServeError";
}
