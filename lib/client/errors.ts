import { GlobalIdError, RetryableError } from "../base/errors.ts";

/**
 * The time-out passed without a response. The server is down, it does not let this client in, it has another key or
 * cluster, or the network lost the datagrams.
 *
 * @example The server is down
 * ```ts
 * import { IdClient, NoResponseError } from "@global-id/global-id/client";
 *
 * using client = new IdClient({ port: 9, retransmitMs: 5, timeoutMs: 20 });
 * try {
 *   await client.nextId();
 * } catch (error) {
 *   if (!(error instanceof NoResponseError)) throw error;
 *   console.log(error.message); // no response from 127.0.0.1:9 to 3 requests: is a server running there, …
 * }
 * ```
 */
export class NoResponseError extends RetryableError {
  /** The name of the class. */
  override name = "NoResponseError";
  /** 0: the client has waited already. */
  readonly retryAfterMs = 0;

  /** The address that the client asked, as `host:port`, or several of them; empty if it knew of none. */
  readonly server: string;
  /**
   * How many times the client sent the request. 0: the time-out passed before the client asked for the rest of its ids.
   */
  readonly tries: number;

  /**
   * Makes the error.
   *
   * @param server The address that the client asked, as `host:port`, or several of them.
   * @param tries How many times the client sent the request. 0: the time-out passed before the client asked for the
   * rest of its ids.
   * @param cause Why the client could not send the request, if the last attempt failed.
   */
  constructor(server: string, tries: number, cause?: unknown) {
    super(explainSilence(server, tries, cause), { cause });
    this.server = server;
    this.tries = tries;
  }
}

function explainSilence(server: string, tries: number, cause: unknown): string {
  if (server === "") return `no server is known${cause instanceof Error ? `: ${cause.message}` : ""}`;
  if (tries === 0) return `the time-out passed before ${server} had granted all ids`;
  const why = cause instanceof Error
    ? `sending failed: ${cause.message}`
    : "is a server running there, does it let us in, and do key and cluster match?";
  return `no response from ${server} to ${tries} requests: ${why}`;
}

/** Why a server has no ids for now: see {@linkcode UnavailableError}. */
export type UnavailableReason = "out-of-ids" | "clock-behind" | "not-serving";

const UNAVAILABLE: Record<UnavailableReason, string> = {
  "out-of-ids": "it is out of ids until the next tick",
  "clock-behind": "its clock is behind the last tick that it used",
  "not-serving": "it is not serving now",
};

/**
 * The server has no ids for now, and will not have any before the time-out.
 *
 * @example Wait as long as the server says
 * ```ts
 * import { type IdClient, UnavailableError } from "@global-id/global-id/client";
 *
 * async function patientId(client: IdClient): Promise<bigint> {
 *   try {
 *     return await client.nextId();
 *   } catch (error) {
 *     if (!(error instanceof UnavailableError)) throw error;
 *     await new Promise((resolve) => setTimeout(resolve, error.retryAfterMs));
 *     return patientId(client);
 *   }
 * }
 * ```
 */
export class UnavailableError extends RetryableError {
  /** The name of the class. */
  override name = "UnavailableError";

  /**
   * Why the server has no ids: it has used up those of the tick, its clock is behind the last tick that it used, or it
   * has no reservation for the tick.
   */
  readonly reason: UnavailableReason;
  /** After how many ms the server expects to have ids. */
  readonly retryAfterMs: number;

  /**
   * Makes the error.
   *
   * @param reason Why the server has no ids: it has used up those of the tick, its clock is behind the last tick that
   * it used, or it has no reservation for the tick.
   * @param retryAfterMs After how many ms the server expects to have ids.
   */
  constructor(reason: UnavailableReason, retryAfterMs: number) {
    super(`the server has no ids: ${UNAVAILABLE[reason]}; try again in ${retryAfterMs} ms`);
    this.reason = reason;
    this.retryAfterMs = retryAfterMs;
  }
}

/** Why a server refuses a request for good: see {@linkcode RefusedError}. */
export type RefusedReason = "out-of-time" | "bad-request" | "stale";

const REFUSED: Record<RefusedReason, string> = {
  "out-of-time": "its layout's time is over",
  "bad-request": "it takes this for a bad request",
  "stale": "it takes this for a request of another time, again and again",
};

/**
 * The server refused the request, and would refuse it again.
 *
 * @example Tell the reasons apart
 * ```ts
 * import { RefusedError } from "@global-id/global-id/client";
 *
 * function advise(error: RefusedError): string {
 *   switch (error.reason) {
 *     case "out-of-time":
 *       return "give the server a layout with more time bits";
 *     case "bad-request":
 *       return "the server is of another version than the client";
 *     case "stale":
 *       return "something between client and server repeats old responses, or the server's clock jumps";
 *   }
 * }
 *
 * console.log(advise(new RefusedError("out-of-time")));
 * ```
 */
export class RefusedError extends GlobalIdError {
  /** The name of the class. */
  override name = "RefusedError";

  /**
   * Why: the clock is past the last tick of the server's layout, the server does not understand the request, or the
   * server kept saying that the request's time is wrong.
   */
  readonly reason: RefusedReason;

  /**
   * Makes the error.
   *
   * @param reason Why: the clock is past the last tick of the server's layout, the server does not understand the
   * request, or the server kept saying that the request's time is wrong.
   */
  constructor(reason: RefusedReason) {
    super(`the server refuses to give ids: ${REFUSED[reason]}`);
    this.reason = reason;
  }
}

/**
 * A server granted an id that this client had got before. The client takes none of the ids of that response.
 *
 * An id that comes twice is a fault that goes on: two servers have one node id, or a server's store was put back to an
 * earlier state. So the call fails instead of asking again.
 *
 * @example Make somebody look
 * ```ts
 * import { RepeatedIdError } from "@global-id/global-id/client";
 *
 * function advise(error: unknown): string {
 *   if (!(error instanceof RepeatedIdError)) throw error;
 *   return `stop ${error.server}, and find out who else has its node id`;
 * }
 *
 * console.log(advise(new RepeatedIdError("192.0.2.1:9999", 29210240083820551n)));
 * ```
 */
export class RepeatedIdError extends GlobalIdError {
  /** The name of the class. */
  override name = "RepeatedIdError";

  /** The address of the server, as `host:port`. */
  readonly server: string;
  /** The first id of the response. It, or one of those after it, had been granted before. */
  readonly id: bigint;

  /**
   * Makes the error.
   *
   * @param server The address of the server, as `host:port`.
   * @param id The first id of the response.
   */
  constructor(server: string, id: bigint) {
    super(
      `${server} granted ids from ${id} on, some of which this client had got before: ` +
        "see whether two servers have one node id, or a store was put back to an earlier state",
    );
    this.server = server;
    this.id = id;
  }
}
