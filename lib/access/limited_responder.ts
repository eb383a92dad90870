import type { Clock } from "../base/clock.ts";
import type { IdLayout } from "../id/layout.ts";
import type { Respond } from "../udp/udp_socket.ts";
import { isReservedZero } from "../wire/is_reserved_zero.ts";
import {
  BASIC,
  BASIC_ERROR,
  BASIC_ERROR_BYTES,
  BASIC_REQUEST_BYTES,
  RANGE,
  RANGE_BYTES,
  WireStatus,
} from "../wire/protocol.ts";
import { writeRangeError } from "../wire/range_error.ts";
import { type AccessCounts, COUNT, createAccessCounts } from "./access_counts.ts";
import { grantedIn } from "./counted_responder.ts";
import type { SourceLimit } from "./source_limit.ts";

/** As a constant of this module, V8 compiles the index into the code. */
const { limited: LIMITED } = COUNT;

/**
 * Makes a function that limits the ids of each source in a tick of the clock. It cuts down requests for more ids than
 * the source has left. A source without ids gets the answer that there are none until the next tick. All other
 * datagrams pass as they are.
 *
 * @param respond Answers requests: see `createResponder`.
 * @param limit The limit of each source.
 * @param layout The layout, for the length of a tick.
 * @param clock The clock. Left out: the system's clock.
 * @param counts Where to count the requests of sources without ids.
 * @returns The function. It needs a view of at least 32 bytes.
 */
export function createLimitedResponder(
  respond: Respond,
  limit: SourceLimit,
  layout: IdLayout,
  clock: Clock = Date,
  counts: AccessCounts = createAccessCounts(),
): Respond {
  const { epochMs, tickMs } = layout;

  return function respondLimited(datagram, length, source) {
    const count = countOf(datagram, length);
    if (count === 0) return respond(datagram, length, source);
    const sinceEpochMs = clock.now() - epochMs;
    const tick = Math.floor(sinceEpochMs / tickMs);
    const allowed = limit.spend(source, count, tick);
    if (allowed === 0) {
      counts[LIMITED]++;
      return refuse(datagram, length, (tick + 1) * tickMs - sinceEpochMs);
    }
    if (length === RANGE_BYTES) datagram.setUint32(4, allowed);
    const answered = respond(datagram, length, source);
    const granted = grantedIn(datagram, answered);
    if (granted < allowed) limit.refund(source, allowed - granted);
    return answered;
  };
}

/** How many ids a datagram asks for; 0: it is no request for ids. */
function countOf(datagram: DataView, length: number): number {
  if (length === RANGE_BYTES && datagram.getUint8(0) === RANGE) {
    return isReservedZero(datagram) ? datagram.getUint32(4) : 0;
  }
  return length === BASIC_REQUEST_BYTES && datagram.getUint8(0) === BASIC ? 1 : 0;
}

function refuse(datagram: DataView, length: number, waitMs: number): number {
  if (length === RANGE_BYTES) return writeRangeError(datagram, WireStatus.OUT_OF_IDS, Math.ceil(waitMs));
  datagram.setUint8(0, BASIC_ERROR);
  return BASIC_ERROR_BYTES;
}
