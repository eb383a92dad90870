import type { Clock } from "../id/clock.ts";
import { RANGE, RANGE_BYTES, WireStatus } from "../wire/protocol.ts";
import { type Mac, STALE, timeOf } from "./mac.ts";
import { Freshness, MAX_AHEAD_MS, type ReplayWindow } from "./replay_window.ts";

/**
 * Makes the function that answers signed requests, and nothing else. It hands those that are good to a function that answers
 * range requests, and signs what that says. Like that, it writes the answer over the request.
 *
 * @param respond What answers range requests: see `createResponder`.
 * @param mac The key.
 * @param window What was answered before.
 * @param clock What the time is read from. Default: the system's clock.
 * @returns The function. Its arguments are a view of at least 48 bytes that begins with the datagram, and the datagram's
 * length; it returns the length of the answer, or 0 if there is to be none.
 */
export function createSignedResponder(
  respond: (datagram: DataView, length: number) => number,
  mac: Mac,
  window: ReplayWindow,
  clock: Clock = Date,
): (datagram: DataView, length: number) => number {
  return function respondSigned(datagram: DataView, length: number): number {
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
      if (respond(datagram, RANGE_BYTES) === 0) return 0;
    }
    return mac.signResponse(datagram);
  };
}

/** Says which time a request would have to have, or how long to wait until there is such a time. */
function writeStale(datagram: DataView, freshTimeMs: number, nowMs: number): void {
  const waitMs = freshTimeMs - (nowMs + MAX_AHEAD_MS);
  const value = waitMs > 0 ? waitMs : freshTimeMs;
  datagram.setUint8(1, waitMs > 0 ? WireStatus.NOT_SERVING : STALE);
  datagram.setUint16(2, 0);
  datagram.setUint32(4, 0);
  datagram.setUint32(16, value / 2 ** 32);
  datagram.setUint32(20, value);
  datagram.setUint32(24, 0);
  datagram.setUint32(28, 0);
}
