/** How many times a worker may die within {@linkcode WINDOW_MS} before there is no point in starting it again. */
export const MAX_DEATHS = 5;

/** How long a death counts, in ms. */
export const WINDOW_MS = 60_000;

/** How long the first restart waits, in ms. Every further one within the window waits twice as long as the one before. */
const FIRST_DELAY_MS = 100;

/** Says when a worker that died is to be started again: at once at first, then ever later, and at last not at all. */
export class RestartPolicy {
  #deathsMs: number[] = [];

  /**
   * @param nowMs When the worker died, on a clock that does not step.
   * @returns How long to wait before it is started again, in ms; `undefined` to give up.
   */
  delayAfterDeath(nowMs: number): number | undefined {
    this.#deathsMs = this.#deathsMs.filter((deathMs) => nowMs - deathMs < WINDOW_MS);
    this.#deathsMs.push(nowMs);
    const deaths = this.#deathsMs.length;
    return deaths > MAX_DEATHS ? undefined : FIRST_DELAY_MS * 2 ** (deaths - 1);
  }
}
