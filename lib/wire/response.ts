import { BASIC, BASIC_SUCCESS_BYTES, RANGE, RANGE_BYTES, WireStatus } from "./protocol.ts";

/**
 * Reads the response to a basic request.
 *
 * @param datagram A view that begins with the datagram.
 * @param length The datagram's length in bytes.
 * @returns The id; `undefined` if the datagram is an error or no response.
 */
export function readBasicResponse(datagram: DataView, length: number): bigint | undefined {
  if (length !== BASIC_SUCCESS_BYTES || datagram.getUint8(0) !== BASIC) return undefined;
  return datagram.getBigUint64(1);
}

/** The response to a range request. */
export interface RangeResponse {
  /** Whether the server granted ids, and if not, why. */
  status: WireStatus;
  /** The upper 32 bits of the request's tag. */
  tagHigh: number;
  /** The lower 32 bits of the request's tag. */
  tagLow: number;
  /** How many ids were granted; 0 on any status but OK. */
  granted: number;
  /** The first id. */
  first: bigint;
  /** The distance from one id to the next. */
  step: bigint;
  /**
   * On any status but OK: after how many ms a retry makes sense; on STALE, the time that the request should have had.
   */
  retryAfterMs: number;
}

/**
 * Reads the response to a range request.
 *
 * @param datagram A view that begins with the datagram.
 * @param length The datagram's length in bytes.
 * @returns The response; `undefined` if the datagram is none.
 */
export function readRangeResponse(datagram: DataView, length: number): RangeResponse | undefined {
  if (length !== RANGE_BYTES || datagram.getUint8(0) !== RANGE || datagram.getUint16(2) !== 0) return undefined;
  const status = datagram.getUint8(1);
  const granted = datagram.getUint32(4);
  const [first, step] = [datagram.getBigUint64(16), datagram.getBigUint64(24)];
  if (status > WireStatus.STALE) return undefined;
  if (status === WireStatus.OK ? !isRange(first, step, granted) : granted !== 0 || step !== 0n) return undefined;
  return {
    status: status as WireStatus,
    tagHigh: datagram.getUint32(8),
    tagLow: datagram.getUint32(12),
    granted,
    first: status === WireStatus.OK ? first : 0n,
    step,
    retryAfterMs: status === WireStatus.OK ? 0 : Number(first),
  };
}

/** Whether a range has at least one id, no id twice, and no id of more than 64 bits. */
function isRange(first: bigint, step: bigint, granted: number): boolean {
  return granted === 1 || (granted > 0 && step > 0n && first + step * BigInt(granted - 1) < 2n ** 64n);
}
