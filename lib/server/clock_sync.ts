import { GlobalIdError } from "../base/errors.ts";
import { openLibc } from "../libc/libc.ts";

/** The kernel's knowledge about its clock. */
export interface ClockSync {
  /** Whether a service such as NTP keeps the clock in step with the true time. */
  readonly isSynchronized: boolean;
  /** By how much the clock may be off at most, in ms, as far as the kernel can tell. */
  readonly maxErrorMs: number;
}

/** The clock may be off by more than `--max-drift` allows; the message says by how much, or that nobody knows. */
export class ClockDriftError extends GlobalIdError {
  /** The name of the class. */
  override name = "ClockDriftError";
}

/**
 * Size and offsets, in bytes, on 64-bit Linux (adjtimex(2), <sys/timex.h>) of
 *
 *     struct timex {
 *       unsigned int modes;  // 0: read only
 *       long offset, freq;
 *       long maxerror;       // us
 *       long esterror;
 *       int status;          // bits, of which STA_UNSYNC is one
 *       …
 *     };
 */
const TIMEX_BYTES = 208;
const MAXERROR = 24;
const STATUS = 40;
/** Set in `status` if the clock is not synchronized. */
const STA_UNSYNC = 0x40;
const LITTLE_ENDIAN = true;

/**
 * Asks the kernel about its clock (adjtimex, Linux).
 *
 * @returns The kernel's knowledge; `undefined` on other systems, and without the permission `--allow-ffi`.
 */
export function readClockSync(): ClockSync | undefined {
  if (Deno.build.os !== "linux" || Deno.permissions.querySync({ name: "ffi" }).state !== "granted") return undefined;
  const timex = new Uint8Array(TIMEX_BYTES);
  try {
    if (openLibc().adjtimex(timex) < 0) return undefined;
  } catch {
    return undefined;
  }
  return parseTimex(timex);
}

/** Reads a `struct timex` that adjtimex has written. */
export function parseTimex(timex: Uint8Array<ArrayBuffer>): ClockSync {
  const view = new DataView(timex.buffer);
  return {
    isSynchronized: (view.getInt32(STATUS, LITTLE_ENDIAN) & STA_UNSYNC) === 0,
    maxErrorMs: Number(view.getBigInt64(MAXERROR, LITTLE_ENDIAN)) / 1000,
  };
}

/**
 * Checks the clock against `--max-drift`.
 *
 * @param maxDriftMs By how much the clock may be off, in ms; `undefined`: by any amount.
 * @param sync The kernel's knowledge about the clock.
 * @throws {ClockDriftError} If the clock may be off by more, or the kernel does not know.
 */
export function checkDrift(maxDriftMs: number | undefined, sync: ClockSync | undefined): void {
  if (maxDriftMs === undefined) return;
  const allowed = `--max-drift ${maxDriftMs} allows`;
  if (sync === undefined) {
    throw new ClockDriftError(`${allowed} no clock whose error nobody knows (it takes Linux and --allow-ffi)`);
  }
  if (!sync.isSynchronized) {
    throw new ClockDriftError(`${allowed} no clock that is not synchronized: start NTP, or leave the flag out`);
  }
  if (sync.maxErrorMs > maxDriftMs) {
    throw new ClockDriftError(
      `${allowed} no clock that may be off by ${Math.ceil(sync.maxErrorMs)} ms: repair NTP, or allow more`,
    );
  }
}

/** Describes the clock in words. */
export function describeClock(sync: ClockSync | undefined): string {
  if (sync === undefined) return "whether the clock is synchronized is not known here";
  if (!sync.isSynchronized) return "the clock is not synchronized (no NTP): ids tell its time, true or not";
  return `the clock is synchronized, and off by at most ${Math.ceil(sync.maxErrorMs)} ms`;
}
