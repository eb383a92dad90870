/**
 * The numbers of the wire protocol, version 1. `docs/protocol.md` has the layout of all requests and responses, and the
 * rules for both sides.
 *
 * @module
 */
import { IdStatus } from "../id/id_grant.ts";

/** The first byte of a basic request, and of its success. */
export const BASIC = 0x00;
/** The only byte of a basic error. */
export const BASIC_ERROR = 0x01;
/** The first byte of a range request, and of its response. */
export const RANGE = 0x02;
/** The first byte of a signed request, and of its response. */
export const SIGNED = 0x03;

/** Bytes of a basic request. */
export const BASIC_REQUEST_BYTES = 1;
/** Bytes of a basic success: the first byte and the id. */
export const BASIC_SUCCESS_BYTES = 9;
/** Bytes of a basic error. */
export const BASIC_ERROR_BYTES = 1;
/** Bytes of a range request and of its response. */
export const RANGE_BYTES = 32;
/** Bytes of a signed request and of its response. */
export const SIGNED_BYTES = 48;

/** The status byte of a range response: the statuses of the sequencer, and those of the server. */
export const WireStatus = {
  OK: IdStatus.OK,
  OUT_OF_IDS: IdStatus.OUT_OF_IDS,
  CLOCK_BEHIND: IdStatus.CLOCK_BEHIND,
  OUT_OF_TIME: IdStatus.OUT_OF_TIME,
  /** The count was 0. */
  BAD_REQUEST: 4,
  /** The server has no ids now, since it has no reservation for the tick. */
  NOT_SERVING: IdStatus.NOT_RESERVED,
  /**
   * The time of a signed request is too far from the server's. The first id's place holds the time that the request
   * should have had.
   */
  STALE: 6,
} as const;

/** One of the values of {@linkcode WireStatus}. */
export type WireStatus = typeof WireStatus[keyof typeof WireStatus];
