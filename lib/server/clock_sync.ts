import { openLibc } from "../libc/libc.ts";

/** What the system knows about its clock. */
export interface ClockSync {
  /** Whether something, such as NTP, keeps it in step with the true time. */
  readonly isSynchronized: boolean;
  /** By how much it may be off at most, in ms, as far as the system can tell. */
  readonly maxErrorMs: number;
}

/** `struct timex` of 64-bit Linux: its size, and offsets of its fields, in bytes. Source: adjtimex(2) and <sys/timex.h>. */
const TIMEX_BYTES = 208;
const MAXERROR = 24; // us, 64 bits
const STATUS = 40; // 32 bits
/** The bit of the status that says that the clock is not synchronized. */
const STA_UNSYNC = 0x40;

/**
 * Asks the kernel about its clock (adjtimex, Linux).
 *
 * @returns What it knows; `undefined` where there is no way to ask: without the permission `--allow-ffi`, or elsewhere.
 */
export function readClockSync(): ClockSync | undefined {
  if (Deno.build.os !== "linux" || Deno.permissions.querySync({ name: "ffi" }).state !== "granted") return undefined;
  const timex = new Uint8Array(TIMEX_BYTES); // modes 0: only read
  try {
    if (openLibc().adjtimex(timex) < 0) return undefined;
  } catch {
    return undefined;
  }
  return parseTimex(timex);
}

/** Reads what adjtimex has written. */
export function parseTimex(timex: Uint8Array<ArrayBuffer>): ClockSync {
  const view = new DataView(timex.buffer);
  return {
    isSynchronized: (view.getInt32(STATUS, true) & STA_UNSYNC) === 0,
    maxErrorMs: Number(view.getBigInt64(MAXERROR, true)) / 1000,
  };
}

/**
 * Makes sure that the clock is as true as it was asked for.
 *
 * @param maxDriftMs By how much it may be off, in ms; `undefined`: by any.
 * @param sync What the system knows about it.
 * @throws {Error} If it may be off by more, or nobody knows.
 */
export function checkDrift(maxDriftMs: number | undefined, sync: ClockSync | undefined): void {
  if (maxDriftMs === undefined) return;
  const allowed = `--max-drift ${maxDriftMs} allows`;
  if (sync === undefined) {
    throw new Error(`${allowed} no clock whose error nobody knows (it takes Linux and --allow-ffi)`);
  }
  if (!sync.isSynchronized) throw new Error(`${allowed} no clock that is not synchronized: start NTP, or leave it out`);
  if (sync.maxErrorMs > maxDriftMs) {
    throw new Error(`${allowed} no clock that may be off by ${Math.ceil(sync.maxErrorMs)} ms: see to NTP`);
  }
}

/** The clock in words. */
export function describeClock(sync: ClockSync | undefined): string {
  if (sync === undefined) return "whether the clock is synchronized is not known here";
  if (!sync.isSynchronized) return "the clock is not synchronized (no NTP): ids tell its time, true or not";
  return `the clock is synchronized, and off by at most ${Math.ceil(sync.maxErrorMs)} ms`;
}
