import { WireStatus } from "../wire/protocol.ts";
import type { Server } from "./_server.ts";
import { RefusedError, UnavailableError } from "./errors.ts";

/** A response that grants no ids. */
export interface Refusal {
  /** Who refuses. */
  readonly server: Server;
  /** Its status byte. */
  readonly status: Exclude<WireStatus, typeof WireStatus.OK>;
  /** After how many ms a retry makes sense; on STALE, the time that the request should have had. */
  readonly retryAfterMs: number;
}

/** Whether a retry would be refused as well. */
export function isFinal({ status }: Refusal): boolean {
  return status === WireStatus.OUT_OF_TIME || status === WireStatus.BAD_REQUEST || status === WireStatus.STALE;
}

/** Makes the error for a refusal: a {@linkcode RefusedError} if it {@linkcode isFinal}. */
export function toError({ status, retryAfterMs }: Refusal): UnavailableError | RefusedError {
  switch (status) {
    case WireStatus.OUT_OF_IDS:
      return new UnavailableError("out-of-ids", retryAfterMs);
    case WireStatus.CLOCK_BEHIND:
      return new UnavailableError("clock-behind", retryAfterMs);
    case WireStatus.NOT_SERVING:
      return new UnavailableError("not-serving", retryAfterMs);
    case WireStatus.OUT_OF_TIME:
      return new RefusedError("out-of-time");
    case WireStatus.BAD_REQUEST:
      return new RefusedError("bad-request");
    case WireStatus.STALE:
      return new RefusedError("stale");
  }
}
