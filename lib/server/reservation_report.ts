import { messageOf } from "../base/message_of.ts";
import { ClockError, OutOfTimeError } from "../base/errors.ts";
import { LAYOUTS } from "../id/presets.ts";
import { ClockJumpError } from "../reservation/errors.ts";
import { ClockDriftError } from "./clock_sync.ts";
import type { ServeLog } from "./serve_log.ts";
import type { NodeOptions } from "./serve_options.ts";

/** How much further ahead of the clock than a new mark a mark may be, in ms, before the clock counts as behind. */
const TOLERANCE_MS = 5000;

/** Tells the operator, in a line each, when the reservation runs into trouble, and when the trouble is over. */
export class ReservationReport {
  readonly #options: NodeOptions;
  readonly #log: ServeLog;
  #isBehind = false;
  /** What keeps the reservation from being renewed. */
  #failing: "reservation store" | "clock" | undefined;

  /**
   * Makes a report.
   *
   * @param options The options of the server.
   * @param log Receives the lines.
   */
  constructor(options: NodeOptions, log: ServeLog) {
    this.#options = options;
    this.#log = log;
  }

  /**
   * Takes note of a renewal that succeeded.
   *
   * @param mark The mark of the reservation.
   * @param aheadMs How far ahead of the clock a new mark is set, in ms.
   */
  onMark(mark: number, aheadMs: number): void {
    if (this.#failing !== undefined) {
      this.#log.info(this.#failing === "clock" ? "the clock is right again" : "the reservation store is back");
    }
    this.#failing = undefined;

    const behindMs = this.#timeOf(mark) - Date.now() - aheadMs;
    const isBehind = behindMs > TOLERANCE_MS;
    if (isBehind && !this.#isBehind) {
      this.#log.warn(this.#describeBehind(mark, behindMs));
    } else if (!isBehind && this.#isBehind) {
      this.#log.info("the clock has caught up with the reservation");
    }
    this.#isBehind = isBehind;
  }

  /** Takes note of a renewal that failed, and of the mark until which ids go on. */
  onError(error: unknown, mark: number): void {
    const failing = isOfClock(error) ? "clock" : "reservation store";
    if (failing === this.#failing) return;
    this.#failing = failing;
    const until = failing === "clock" ? "the clock is right" : "the store is back";
    this.#log.warn(
      `ticks cannot be reserved: ${messageOf(error)}; ids are there until ${
        this.#isoTimeOf(mark)
      }, and again when ${until}`,
    );
  }

  #describeBehind(mark: number, behindMs: number): string {
    const { nodeId, clockPolicy } = this.#options;
    const consequence = clockPolicy === "logical"
      ? "ids go on, and their time is ahead of the clock until it has caught up"
      : "there are no ids until it has caught up; to have them now, put the clock right if it is wrong, " +
        "or take --clock logical or another --node-id";
    return `the clock is ${Math.ceil(behindMs / 1000)} s behind the reservation of node ${nodeId} ` +
      `(until ${this.#isoTimeOf(mark)}): an earlier server could not give its unused ticks back, ` +
      `or the clock stepped back, or was ahead before; ${consequence}`;
  }

  #timeOf(tick: number): number {
    const { epochMs, tickMs } = LAYOUTS[this.#options.layout];
    return epochMs + tick * tickMs;
  }

  #isoTimeOf(tick: number): string {
    const time = new Date(this.#timeOf(tick));
    return Number.isNaN(time.getTime()) ? "the end of time" : time.toISOString();
  }
}

function isOfClock(error: unknown): boolean {
  return error instanceof ClockError || error instanceof ClockJumpError || error instanceof ClockDriftError ||
    error instanceof OutOfTimeError;
}
