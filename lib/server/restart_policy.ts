/** How many deaths of a worker within {@linkcode WINDOW_MS} are met with a restart. After one more, there is none. */
export const MAX_DEATHS = 5;

/** How long a death counts, in ms. */
export const WINDOW_MS = 60_000;

/**
 * The delay of the first restart, in ms. Every further restart within the window is delayed twice as long as the last.
 */
const FIRST_DELAY_MS = 100;

/** Decides when a worker that died is started again: soon at first, then ever later, and at last not at all. */
export class RestartPolicy {
  #deathsMs: number[] = [];

  /**
   * Counts a death.
   *
   * @param nowMs When the worker died, on a clock that does not step.
   * @returns How long to wait before the restart, in ms; `undefined` to give up.
   */
  delayAfterDeath(nowMs: number): number | undefined {
    this.#deathsMs = this.#deathsMs.filter((deathMs) => nowMs - deathMs < WINDOW_MS);
    this.#deathsMs.push(nowMs);
    const deaths = this.#deathsMs.length;
    return deaths > MAX_DEATHS ? undefined : FIRST_DELAY_MS * 2 ** (deaths - 1);
  }
}
