/** How many lines may come at once, and after how many ms there is room for one more. */
const MAX_LINES = 100;
const LINE_MS = 1000;

/**
 * Bounds what somebody may add to a log: a hundred lines at once, which is more than a runtime says as it crashes, and
 * one a second after that.
 */
export class LineLimit {
  readonly #clock: { now(): number };
  #room = MAX_LINES;
  #lookedMs: number;
  #omitted = 0;

  /**
   * Makes room for {@linkcode MAX_LINES} lines.
   *
   * @param clock A clock that never steps, in ms.
   */
  constructor(clock: { now(): number }) {
    this.#clock = clock;
    this.#lookedMs = clock.now();
  }

  /** Whether the next line may be added now; if not, it counts as left out. */
  admits(): boolean {
    const nowMs = this.#clock.now();
    this.#room = Math.min(this.#room + (nowMs - this.#lookedMs) / LINE_MS, MAX_LINES);
    this.#lookedMs = nowMs;
    if (this.#room < 1) {
      this.#omitted++;
      return false;
    }
    this.#room--;
    return true;
  }

  /** Returns how many lines were left out since the last call. */
  takeOmitted(): number {
    const omitted = this.#omitted;
    this.#omitted = 0;
    return omitted;
  }
}
