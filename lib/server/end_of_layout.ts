import { type LayoutName, LAYOUTS } from "../id/presets.ts";
import type { ServeLog } from "./serve_log.ts";

const DAY_MS = 86_400_000;

/** How long before the last id of a layout the warnings begin, in ms. */
const NOTICE_MS = 365 * DAY_MS;

/** The clocks that {@linkcode EndOfLayout} reads. */
export interface EndOfLayoutClocks {
  /** The time, in ms since the Unix epoch. */
  readonly clock: { now(): number };
  /** Tells when a day has passed, in ms, however the time is set. */
  readonly monotonicClock: { now(): number };
}

/** Warns the operator, from a year ahead, that a layout's time ends. */
export class EndOfLayout {
  readonly #layout: LayoutName;
  readonly #log: ServeLog;
  readonly #clocks: EndOfLayoutClocks;
  #warnedMs = -Infinity;

  /**
   * Makes what warns.
   *
   * @param layout The layout of the server.
   * @param log Receives the warnings.
   * @param clocks The clocks; those of the system if they are left out.
   */
  constructor(
    layout: LayoutName,
    log: ServeLog,
    clocks: EndOfLayoutClocks = { clock: Date, monotonicClock: performance },
  ) {
    this.#layout = layout;
    this.#log = log;
    this.#clocks = clocks;
  }

  /** Prints the warning if the end is less than a year away, once a day at most, however often this is called. */
  warnIfNear(): void {
    const { clock, monotonicClock } = this.#clocks;
    const nowMs = monotonicClock.now();
    const { epochMs, maxTick, tickMs } = LAYOUTS[this.#layout];
    const endMs = epochMs + (maxTick + 1) * tickMs;
    const leftMs = endMs - clock.now();
    if (leftMs > NOTICE_MS || leftMs <= 0 || nowMs - this.#warnedMs < DAY_MS) return;
    this.#warnedMs = nowMs;
    const days = Math.floor(leftMs / DAY_MS);
    this.#log.warn(
      `the layout ${this.#layout} has no ids from ${new Date(endMs).toISOString()} on, ` +
        `in ${days} day${days === 1 ? "" : "s"}: move to another layout before then`,
    );
  }
}
