import type { Respond } from "../udp/udp_socket.ts";
import { BASIC_ERROR_BYTES, RANGE_BYTES, WireStatus } from "./protocol.ts";

/**
 * One of how many error answers is left out, on average. A loop that lives on errors makes as many exchanges on
 * average, and in one of 10 million cases more than 1,030. A client loses one answer in as many, as on any network, and
 * only while there are no ids.
 */
export const ERRORS_PER_OMISSION = 64;

/**
 * Makes a function that leaves out error answers at random: basic errors, and BAD_REQUEST.
 *
 * The sender of a datagram may be spoofed, and may be a service that answers everything: with the byte of a basic
 * request, say. Two such parties would send each other datagrams for ever (CVE-2024-2169 is of this kind). An omitted
 * answer ends the loop, however slow the loop is, where a limit of errors a second would let slow loops go on. Chance
 * decides, since no other traffic can keep in step with it.
 *
 * @param respond Answers requests: see `createResponder`.
 * @param random Returns a number from 0 to below 1. Left out: `Math.random`.
 * @returns The function.
 */
export function omitErrors(respond: Respond, random: () => number = Math.random): Respond {
  return function respondOrOmit(datagram, length, source) {
    const answered = respond(datagram, length, source);
    return isError(datagram, answered) && random() * ERRORS_PER_OMISSION < 1 ? 0 : answered;
  };
}

/** Whether an answer is one that a service could provoke without end. The other errors answer valid range requests. */
function isError(datagram: DataView, length: number): boolean {
  return length === BASIC_ERROR_BYTES ||
    length === RANGE_BYTES && datagram.getUint8(1) === WireStatus.BAD_REQUEST;
}
