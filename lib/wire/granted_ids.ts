import { BASIC_SUCCESS_BYTES, RANGE_BYTES } from "./protocol.ts";

/**
 * How many ids an answer grants.
 *
 * @param datagram The answer to a basic request or to a range request.
 * @param length Its length.
 */
export function grantedIds(datagram: DataView, length: number): number {
  if (length === RANGE_BYTES) return datagram.getUint32(4);
  return length === BASIC_SUCCESS_BYTES ? 1 : 0;
}
