import { isReservedZero } from "./is_reserved_zero.ts";
import { BASIC, BASIC_REQUEST_BYTES, RANGE, RANGE_BYTES } from "./protocol.ts";

/** How many ids a datagram asks for; 0: it is no request for ids. */
export function requestedIds(datagram: DataView, length: number): number {
  if (length === RANGE_BYTES && datagram.getUint8(0) === RANGE) {
    return isReservedZero(datagram) ? datagram.getUint32(4) : 0;
  }
  return length === BASIC_REQUEST_BYTES && datagram.getUint8(0) === BASIC ? 1 : 0;
}
