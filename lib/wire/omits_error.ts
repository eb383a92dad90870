/**
 * One of how many error answers is left out, on average. A loop that lives on errors makes as many exchanges on
 * average, and in one of 10 million cases more than 1,030. A client loses one answer in as many, as on any network, and
 * only while there are no ids.
 */
export const ERRORS_PER_OMISSION = 64;

/**
 * Decides at random whether to leave out an error answer: a basic error, or BAD_REQUEST. (Other errors answer valid
 * range requests, which no service sends by chance.)
 *
 * The sender of a datagram may be spoofed, and may be a service that answers everything: with the byte of a basic
 * request, say. Two such parties would send each other datagrams for ever (CVE-2024-2169 is of this kind). An omitted
 * answer ends the loop, however slow the loop is, where a limit of errors a second would let slow loops go on. Chance
 * decides, since no other traffic can keep in step with it.
 *
 * @param random Returns a number from 0 to below 1.
 */
export function omitsError(random: () => number): boolean {
  return random() * ERRORS_PER_OMISSION < 1;
}
