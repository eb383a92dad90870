import type { Clock } from "../base/clock.ts";
import type { Respond } from "../udp/udp_socket.ts";
import { RANGE, RANGE_BYTES, WireStatus } from "../wire/protocol.ts";
import { writeRangeError } from "../wire/range_error.ts";
import { type AccessCounts, COUNT, createAccessCounts } from "./access_counts.ts";
import { type Mac, timeOf } from "./mac.ts";
import { Freshness, MAX_REQUEST_AHEAD_MS, type ReplayWindow } from "./replay_window.ts";
import { StaleAnswers } from "./stale_answers.ts";

/** As constants of this module, V8 compiles the indices into the code. */
const { unsigned: UNSIGNED, replayed: REPLAYED, stale: STALE } = COUNT;

/**
 * Makes a function that answers signed requests only. It hands genuine and fresh requests to a function that answers
 * range requests, and signs the answers. It answers some of those that are not fresh with the time: see
 * `stale_answers.ts`. It writes the answer over the request.
 *
 * @param respond Answers range requests: see `createResponder`.
 * @param macs The keys that requests may be signed with, one at least. The answer is signed with the key of its
 * request. Only a datagram that none of the keys before fits costs the check of another key.
 * @param window Remembers the requests that were answered.
 * @param clock The clock. Left out: the system's clock.
 * @param counts Where to count the datagrams that are not genuine and fresh requests.
 * @returns The function. It needs a view of at least 48 bytes.
 */
export function createSignedResponder(
  respond: Respond,
  macs: readonly Mac[],
  window: ReplayWindow,
  clock: Clock = Date,
  counts: AccessCounts = createAccessCounts(),
): Respond {
  const staleAnswers = new StaleAnswers();

  return function respondSigned(datagram, length, source) {
    const mac = signerOf(datagram, length, macs);
    if (mac === undefined) {
      counts[UNSIGNED]++;
      return 0;
    }
    const now = clock.now();
    const macHigh = datagram.getUint32(RANGE_BYTES);
    const macLow = datagram.getUint32(RANGE_BYTES + 4);
    const freshness = window.admit(macHigh, macLow, timeOf(datagram), now);
    const isStale = freshness === Freshness.STALE;
    if (freshness === Freshness.SEEN || isStale && staleAnswers.has(macHigh, macLow)) {
      counts[REPLAYED]++;
      return 0;
    }
    if (isStale) {
      counts[STALE]++;
      if (!staleAnswers.take(macHigh, macLow, now)) return 0;
      writeStale(datagram, window.freshTimeMs(now), now);
    } else {
      datagram.setUint8(0, RANGE);
      for (let offset = 16; offset < RANGE_BYTES; offset += 4) datagram.setUint32(offset, 0);
      if (respond(datagram, RANGE_BYTES, source) === 0) return 0;
    }
    return mac.signResponse(datagram);
  };
}

/** Returns the key that a request was signed with, if any. */
function signerOf(datagram: DataView, length: number, macs: readonly Mac[]): Mac | undefined {
  for (let i = 0; i < macs.length; i++) if (macs[i].verifyRequest(datagram, length)) return macs[i];
  return undefined;
}

/**
 * Answers with the time that the request should have, or with the time to wait until the window admits requests again.
 */
function writeStale(datagram: DataView, freshTimeMs: number, nowMs: number): void {
  const waitMs = freshTimeMs - (nowMs + MAX_REQUEST_AHEAD_MS);
  if (waitMs > 0) writeRangeError(datagram, WireStatus.NOT_SERVING, waitMs);
  else writeRangeError(datagram, WireStatus.STALE, freshTimeMs);
}
