import { uniformFloat64 } from "pure-rand/distribution/uniformFloat64";
import { xoroshiro128plus } from "pure-rand/generator/xoroshiro128plus";

/** Something that is to happen. */
interface Event {
  happen: (() => void) | undefined;
}

/** What all of a simulation shares: one seed, one time, and what is to happen when. */
export class World {
  /** The true time, in ms since the simulation began. */
  nowMs = 0;

  readonly #random;
  readonly #due = new Map<number, Event[]>();

  /** The same seed gives the same run. */
  readonly seed: number;

  /** @param seed The same seed gives the same run. */
  constructor(seed: number) {
    this.seed = seed;
    this.#random = xoroshiro128plus(seed);
  }

  /** Whether something happens that has this probability. */
  chance(probability: number): boolean {
    return uniformFloat64(this.#random) < probability;
  }

  /** A random number from `min` to before `max`. */
  between(min: number, max: number): number {
    return min + uniformFloat64(this.#random) * (max - min);
  }

  /** One of several. */
  oneOf<T>(choices: readonly T[]): T {
    return choices[Math.floor(this.between(0, choices.length))];
  }

  /** Has something happen later, unless the function that is returned is called before. */
  after(ms: number, happen: () => void): () => void {
    const atMs = this.nowMs + Math.max(1, Math.round(ms));
    const event: Event = { happen };
    const list = this.#due.get(atMs);
    if (list === undefined) this.#due.set(atMs, [event]);
    else list.push(event);
    return () => event.happen = undefined;
  }

  /** Lets time pass, and all happen that is due, with whatever it sets off. */
  async pass(ms: number): Promise<void> {
    const endMs = this.nowMs + ms;
    while (this.nowMs < endMs) {
      this.nowMs++;
      const due = this.#due.get(this.nowMs);
      if (due === undefined) continue;
      this.#due.delete(this.nowMs);
      let hasHappened = false;
      for (const { happen } of due) {
        if (happen === undefined) continue;
        happen();
        hasHappened = true;
      }
      // A reply goes through a dozen or two of awaits until it is used, or leads to the next request.
      for (let turn = 0; hasHappened && turn < 24; turn++) await Promise.resolve();
    }
  }
}
