import type { Respond } from "../udp/udp_socket.ts";
import { BASIC_SUCCESS_BYTES, RANGE_BYTES } from "../wire/protocol.ts";
import { requestedIds } from "../wire/requested_ids.ts";
import { type AccessCounts, COUNT } from "./access_counts.ts";

/** As constants of this module, V8 compiles the indices into the code. */
const { answered: ANSWERED, ids: IDS, noRequest: NO_REQUEST } = COUNT;

/**
 * Makes a function that counts requests, their ids, and datagrams that are no requests.
 *
 * @param respond Answers requests: see `createResponder`.
 * @param counts Where to count.
 * @returns The function.
 */
export function createCountedResponder(respond: Respond, counts: AccessCounts): Respond {
  return function respondCounted(datagram, length, source) {
    const answered = respond(datagram, length, source);
    if (answered === 0) {
      // A request without an answer is one whose error is left out: see `omitsError`.
      if (requestedIds(datagram, length) === 0) counts[NO_REQUEST]++;
    } else {
      counts[ANSWERED]++;
      counts[IDS] += grantedIn(datagram, answered);
    }
    return answered;
  };
}

/**
 * How many ids an answer grants.
 *
 * @param datagram The answer to a basic request or to a range request.
 * @param length Its length.
 */
export function grantedIn(datagram: DataView, length: number): number {
  if (length === RANGE_BYTES) return datagram.getUint32(4);
  return length === BASIC_SUCCESS_BYTES ? 1 : 0;
}
