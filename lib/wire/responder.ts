import { type IdSequencer, MAX_COUNT } from "../id/id_sequencer.ts";
import { IdGrant, IdStatus } from "../id/id_grant.ts";
import { isReservedZero } from "./is_reserved_zero.ts";
import { omitsError } from "./omits_error.ts";
import {
  BASIC,
  BASIC_ERROR,
  BASIC_ERROR_BYTES,
  BASIC_REQUEST_BYTES,
  BASIC_SUCCESS_BYTES,
  RANGE,
  RANGE_BYTES,
  WireStatus,
} from "./protocol.ts";
import { writeRangeError } from "./range_error.ts";
import { REQUEST_COUNT } from "./request_counts.ts";

/** As constants of this module, V8 compiles the indices into the code. */
const { answered: ANSWERED, ids: IDS, noRequest: NO_REQUEST } = REQUEST_COUNT;

/** How a function that answers datagrams differs from the defaults. */
export interface ResponderOptions {
  /**
   * Reads the sequencer's clock anew, if the sequencer does not for every request, and returns whether the time
   * changed. The function calls it before it refuses a request. Left out: the sequencer reads the clock for every
   * request.
   */
  readClock?: () => boolean;
  /**
   * How many ids a request gets at most, however many it asks for, 1 to 2^32 - 1. Left out: as many as the tick has.
   */
  maxCount?: number;
  /** Where to count, by the indices of `REQUEST_COUNT`. Left out: nowhere. */
  counts?: Float64Array;
  /** Returns a number from 0 to below 1, for `omitsError`. Left out: `Math.random`. */
  random?: () => number;
}

/**
 * Makes a function that answers datagrams with a sequencer's ids. The function writes the answer over the request,
 * allocates nothing, and answers requests only.
 *
 * @param sequencer The source of the ids.
 * @param options How the function differs from the defaults.
 * @returns The function. It takes a view of at least 32 bytes that begins with the datagram, and the datagram's length
 * (any length above 32 for a datagram that was cut off). It returns the length of the answer; 0: the datagram gets no
 * answer, and is as it was.
 */
export function createResponder(
  sequencer: IdSequencer,
  options: ResponderOptions = {},
): (datagram: DataView, length: number) => number {
  const { readClock = () => false, maxCount = MAX_COUNT, random = Math.random } = options;
  const { counts = new Float64Array(Object.keys(REQUEST_COUNT).length) } = options;
  const grant = new IdGrant();
  const stepHigh = Number(sequencer.step >> 32n);
  const stepLow = Number(BigInt.asUintN(32, sequencer.step));

  return function respond(datagram: DataView, length: number): number {
    if (length === RANGE_BYTES && datagram.getUint8(0) === RANGE) return respondRange(datagram);
    if (length === BASIC_REQUEST_BYTES && datagram.getUint8(0) === BASIC) return respondBasic(datagram);
    return ignore();
  };

  /** Gives no answer: any answer could begin an endless exchange with the service that sent the datagram. */
  function ignore(): number {
    counts[NO_REQUEST]++;
    return 0;
  }

  /** Asks the sequencer for ids, a second time if it has none and the clock has gone on. */
  function tryRange(count: number): IdStatus {
    const status = sequencer.tryRange(count, grant);
    return status === IdStatus.OK || !readClock() ? status : sequencer.tryRange(count, grant);
  }

  function respondBasic(datagram: DataView): number {
    if (tryRange(1) !== IdStatus.OK) {
      if (omitsError(random)) return 0;
      counts[ANSWERED]++;
      datagram.setUint8(0, BASIC_ERROR);
      return BASIC_ERROR_BYTES;
    }
    counts[ANSWERED]++;
    counts[IDS]++;
    datagram.setUint8(0, BASIC);
    datagram.setUint32(1, grant.firstHigh);
    datagram.setUint32(5, grant.firstLow);
    return BASIC_SUCCESS_BYTES;
  }

  function respondRange(datagram: DataView): number {
    if (!isReservedZero(datagram)) return ignore(); // no request, and maybe a server's response
    const count = datagram.getUint32(4);
    if (count === 0 && omitsError(random)) return 0;
    counts[ANSWERED]++;
    if (count === 0) return writeRangeError(datagram, WireStatus.BAD_REQUEST, 0);
    const status = tryRange(Math.min(count, maxCount));
    if (status !== IdStatus.OK) return writeRangeError(datagram, status, grant.retryAfterMs);

    counts[IDS] += grant.count;
    // The bytes 0 to 3 and the tag are the same in the response.
    datagram.setUint32(4, grant.count);
    datagram.setUint32(16, grant.firstHigh);
    datagram.setUint32(20, grant.firstLow);
    datagram.setUint32(24, stepHigh);
    datagram.setUint32(28, stepLow);
    return RANGE_BYTES;
  }
}
