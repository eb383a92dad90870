import { RANGE_BYTES, type WireStatus } from "./protocol.ts";

/**
 * Writes a response without ids over a range request. The first byte and the tag stay as they are.
 *
 * @param datagram The request; at least 32 bytes.
 * @param status Why there are no ids; not OK.
 * @param value The value for the first id's place: after how many ms a retry makes sense, or what the status says of
 * it.
 * @returns The length of the response in bytes.
 */
export function writeRangeError(datagram: DataView, status: WireStatus, value: number): number {
  datagram.setUint8(1, status);
  datagram.setUint16(2, 0);
  datagram.setUint32(4, 0);
  datagram.setUint32(16, value / 2 ** 32);
  datagram.setUint32(20, value);
  datagram.setUint32(24, 0);
  datagram.setUint32(28, 0);
  return RANGE_BYTES;
}
