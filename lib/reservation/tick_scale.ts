import { ClockError, OutOfTimeError } from "../base/errors.ts";

/** The part of a layout that a reservation depends on. */
export interface TickScale {
  /** Length of a tick in ms. */
  readonly tickMs: number;
  /** When tick 0 begins, in ms since the Unix epoch. */
  readonly epochMs: number;
  /** The last tick. */
  readonly maxTick: number;
  /** The layout as it is put on record. */
  readonly key: string;
  /** Whether what is on record means this layout. */
  isRecordedAs(text: string): boolean;
}

/**
 * The tick of a time; the first one for a time before it. A time past the last one is nothing to reserve for: a clock
 * that is put right could never use the node again.
 *
 * @param nowMs The time, in ms since the Unix epoch.
 * @param scale The layout.
 * @throws {ClockError} If it is no time.
 * @throws {OutOfTimeError} If it is past the layout's last tick.
 */
export function tickAt(nowMs: number, { epochMs, tickMs, maxTick }: TickScale): number {
  if (!Number.isFinite(nowMs)) throw new ClockError(NaN, 0, tickMs);
  const tick = Math.floor((nowMs - epochMs) / tickMs);
  if (tick > maxTick) throw new OutOfTimeError(tick, maxTick);
  return Math.max(0, tick);
}

/** A mark no further than past the layout's last tick. */
export function markWithin(mark: number, { maxTick }: TickScale): number {
  return Math.min(mark, maxTick + 1);
}
