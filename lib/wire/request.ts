import { BASIC, BASIC_REQUEST_BYTES, RANGE, RANGE_BYTES } from "./protocol.ts";

/**
 * Writes a basic request.
 *
 * @param datagram The target; at least 1 byte.
 * @returns The length of the request in bytes.
 */
export function writeBasicRequest(datagram: DataView): number {
  datagram.setUint8(0, BASIC);
  return BASIC_REQUEST_BYTES;
}

/**
 * Writes a range request.
 *
 * @param datagram The target; at least 32 bytes.
 * @param count How many ids to ask for, 1 to 2^32 - 1.
 * @param tagHigh The upper 32 bits of the tag.
 * @param tagLow The lower 32 bits of the tag.
 * @returns The length of the request in bytes.
 */
export function writeRangeRequest(datagram: DataView, count: number, tagHigh: number, tagLow: number): number {
  datagram.setUint32(0, RANGE << 24);
  datagram.setUint32(4, count);
  datagram.setUint32(8, tagHigh);
  datagram.setUint32(12, tagLow);
  for (let offset = 16; offset < RANGE_BYTES; offset += 4) datagram.setUint32(offset, 0);
  return RANGE_BYTES;
}
