import { LAYOUTS } from "../id/presets.ts";
import type { ServeLog } from "./serve_error.ts";
import type { ServeOptions } from "./serve_options.ts";

/** A mark that is further ahead of the clock than it would be set now, by this much in ms, says that the clock is not what it was. */
const TOLERANCE_MS = 5000;

/** Tells the operator when the reservation is not as it should be, and when it is again: a line each. */
export class ReservationReport {
  readonly #options: ServeOptions;
  readonly #log: ServeLog;
  #isBehind = false;
  #isFailing = false;

  /**
   * Makes a report.
   *
   * @param options What is being served.
   * @param log Where its lines go.
   */
  constructor(options: ServeOptions, log: ServeLog) {
    this.#options = options;
    this.#log = log;
  }

  /** Takes note of a reservation that went well, and how far ahead of the clock it was to be, in ms. */
  onMark(mark: number, reservedMs: number): void {
    if (this.#isFailing) this.#log.info("the reservation store is back");
    this.#isFailing = false;

    const { nodeId, clockPolicy } = this.#options;
    const aheadMs = this.#timeOf(mark) - Date.now() - reservedMs;
    const isBehind = aheadMs > TOLERANCE_MS;
    if (isBehind && !this.#isBehind) {
      const seconds = Math.ceil(aheadMs / 1000);
      const consequence = clockPolicy === "logical"
        ? "ids go on, and their time is ahead of the clock until it has caught up"
        : "there are no ids until it has caught up; to have them now, put the clock right if it is wrong, " +
          "or take --clock logical or another --node-id";
      this.#log.warn(
        `the clock is ${seconds} s behind what has been reserved for node ${nodeId} (until ${
          this.#isoTimeOf(mark)
        }): ` +
          "an earlier server could not give that back, or the clock stepped back, or was ahead before; " +
          consequence,
      );
    } else if (!isBehind && this.#isBehind) {
      this.#log.info("the clock has caught up with what has been reserved");
    }
    this.#isBehind = isBehind;
  }

  /** Takes note of a reservation that failed. */
  onError(error: unknown, mark: number): void {
    if (this.#isFailing) return;
    this.#isFailing = true;
    this.#log.warn(
      `ticks cannot be reserved: ${error instanceof Error ? error.message : error}; ids are there until ` +
        `${this.#isoTimeOf(mark)}, and again when the store is back`,
    );
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
