import type { Clock } from "../base/clock.ts";
import type { Respond } from "../udp/udp_socket.ts";
import { RANGE, RANGE_BYTES, WireStatus } from "../wire/protocol.ts";
import { writeRangeError } from "../wire/range_error.ts";
import { type Mac, timeOf } from "./mac.ts";
import { Freshness, MAX_AHEAD_MS, type ReplayWindow } from "./replay_window.ts";

/**
 * Makes the function that answers signed requests, and nothing else. It hands those that are good to a function that answers
 * range requests, and signs what that says. Like that, it writes the answer over the request.
 *
 * @param respond What answers range requests: see `createResponder`.
 * @param mac The key.
 * @param window What was answered before.
 * @param clock What the time is read from. Default: the system's clock.
 * @returns The function. It needs a view of at least 48 bytes.
 */
export function createSignedResponder(
  respond: Respond,
  mac: Mac,
  window: ReplayWindow,
  clock: Clock = Date,
): Respond {
  return function respondSigned(datagram, length, source) {
    if (!mac.verifyRequest(datagram, length)) return 0;
    const now = clock.now();
    const macHigh = datagram.getUint32(RANGE_BYTES);
    const macLow = datagram.getUint32(RANGE_BYTES + 4);
    const freshness = window.admit(macHigh, macLow, timeOf(datagram), now);
    if (freshness === Freshness.SEEN) return 0;
    if (freshness === Freshness.STALE) {
      writeStale(datagram, window.freshTimeMs(now), now);
    } else {
      datagram.setUint8(0, RANGE);
      for (let offset = 16; offset < RANGE_BYTES; offset += 4) datagram.setUint32(offset, 0);
      if (respond(datagram, RANGE_BYTES, source) === 0) return 0;
    }
    return mac.signResponse(datagram);
  };
}

/** Says which time a request would have to have, or how long to wait until there is such a time. */
function writeStale(datagram: DataView, freshTimeMs: number, nowMs: number): void {
  const waitMs = freshTimeMs - (nowMs + MAX_AHEAD_MS);
  if (waitMs > 0) writeRangeError(datagram, WireStatus.NOT_SERVING, waitMs);
  else writeRangeError(datagram, WireStatus.STALE, freshTimeMs);
}
