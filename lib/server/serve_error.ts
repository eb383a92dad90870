import { GlobalIdError } from "../base/errors.ts";
/** The server cannot serve, or no longer; the message says why, and what to do. */
export class ServeError extends GlobalIdError {
  /** The name of the class. */
  override name = "ServeError";
}

/** Where the server's own lines go. */
export interface ServeLog {
  /** What is being served. */
  info(line: string): void;
  /** What is not as it should be. */
  warn(line: string): void;
}
