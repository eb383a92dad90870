import type { Clock } from "../base/clock.ts";
import type { IdLayout } from "../id/layout.ts";
import type { Respond } from "../udp/udp_socket.ts";
import {
  BASIC,
  BASIC_ERROR,
  BASIC_ERROR_BYTES,
  BASIC_REQUEST_BYTES,
  BASIC_SUCCESS_BYTES,
  RANGE,
  RANGE_BYTES,
  WireStatus,
} from "../wire/protocol.ts";
import { writeRangeError } from "../wire/range_error.ts";
import type { SourceLimit } from "./source_limit.ts";

/**
 * Makes the function that lets every source have only so many ids a tick of the clock. Requests for more are made smaller; where
 * nothing is left, they are answered as if there were no ids until the next tick. Everything else is handed on as it is.
 *
 * @param respond What answers requests: see `createResponder`.
 * @param limit How many ids a source may have.
 * @param layout What a tick is.
 * @param clock What the time is read from. Default: the system's clock.
 * @returns The function. It needs a view of at least 32 bytes.
 */
export function createLimitedResponder(
  respond: Respond,
  limit: SourceLimit,
  layout: IdLayout,
  clock: Clock = Date,
): Respond {
  const { epochMs, tickMs } = layout;

  return function respondLimited(datagram, length, source) {
    const count = countOf(datagram, length);
    if (count === 0) return respond(datagram, length, source);
    const sinceEpochMs = clock.now() - epochMs;
    const tick = Math.floor(sinceEpochMs / tickMs);
    const allowed = limit.take(source, count, tick);
    if (allowed === 0) return refuse(datagram, length, (tick + 1) * tickMs - sinceEpochMs);
    if (length === RANGE_BYTES) datagram.setUint32(4, allowed);
    const answered = respond(datagram, length, source);
    const granted = grantedIn(datagram, answered);
    if (granted < allowed) limit.giveBack(source, allowed - granted);
    return answered;
  };
}

/** How many ids a datagram asks for; 0 if it is no request for any. */
function countOf(datagram: DataView, length: number): number {
  if (length === RANGE_BYTES && datagram.getUint8(0) === RANGE) return datagram.getUint32(4);
  return length === BASIC_REQUEST_BYTES && datagram.getUint8(0) === BASIC ? 1 : 0;
}

/** How many ids an answer grants. */
function grantedIn(datagram: DataView, length: number): number {
  if (length === RANGE_BYTES) return datagram.getUint32(4);
  return length === BASIC_SUCCESS_BYTES ? 1 : 0;
}

function refuse(datagram: DataView, length: number, waitMs: number): number {
  if (length === RANGE_BYTES) return writeRangeError(datagram, WireStatus.OUT_OF_IDS, Math.ceil(waitMs));
  datagram.setUint8(0, BASIC_ERROR);
  return BASIC_ERROR_BYTES;
}
