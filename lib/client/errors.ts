import { GlobalIdError } from "../base/errors.ts";
import { WireStatus } from "../wire/protocol.ts";

/** No server answered in time: it is not there, or all datagrams were lost on the way. */
export class NoResponseError extends GlobalIdError {
  /** The name of the class. */
  override name = "NoResponseError";

  /**
   * Makes the error.
   *
   * @param server The address that was asked, as `host:port`, or several of them.
   * @param tries How many requests were sent.
   * @param cause Why sending one failed, if one did.
   */
  constructor(readonly server: string, readonly tries: number, cause?: unknown) {
    const why = cause instanceof Error
      ? `sending failed: ${cause.message}`
      : "is a server running there, and does it let us in?";
    super(`no response from ${server} to ${tries} requests: ${why}`, { cause });
  }
}

/** What the statuses mean, for the message. */
const MEANING: Record<Exclude<WireStatus, 0>, string> = {
  [WireStatus.OUT_OF_IDS]: "it is out of ids until the next tick",
  [WireStatus.CLOCK_BEHIND]: "its clock is behind the last tick that it used",
  [WireStatus.OUT_OF_TIME]: "its layout's time is over",
  [WireStatus.BAD_REQUEST]: "it takes this for a bad request",
  [WireStatus.NOT_SERVING]: "it is not serving now",
  [WireStatus.STALE]: "it takes this for a request of another time, again and again",
};

/** A server answered that it has no ids, and waiting for them would take longer than the deadline, or for ever. */
export class RefusedError extends GlobalIdError {
  /** The name of the class. */
  override name = "RefusedError";

  /**
   * Makes the error.
   *
   * @param status The status of the server's response, 1 to 6: see the wire protocol.
   * @param retryAfterMs After how many ms a retry makes sense, according to the server; 0 if never.
   */
  constructor(readonly status: number, readonly retryAfterMs: number) {
    super(
      `the server gave no id: ${MEANING[status as keyof typeof MEANING]}` +
        (retryAfterMs > 0 ? `; try again in ${retryAfterMs} ms` : ""),
    );
  }
}

/** The client was closed before the id came, or before it was asked for. */
export class ClientClosedError extends GlobalIdError {
  /** The name of the class. */
  override name = "ClientClosedError";

  /** Makes the error. */
  constructor() {
    super("the client is closed");
  }
}
