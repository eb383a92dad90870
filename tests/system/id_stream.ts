import type { IdGenerator } from "../../mod.ts";
import { until } from "../../testing/within.ts";

/** How often an id is taken, in ms. */
const PERIOD_MS = 10;

/** Takes an id every 10 ms from a generator, whenever it has one, keeps all of them, and knows when there was none. */
export class IdStream implements Disposable {
  readonly ids: bigint[] = [];
  readonly #generator: IdGenerator;
  readonly #timer: ReturnType<typeof setInterval>;
  #lastMs = performance.now();
  #longestMs = 0;

  /** Begins to take ids. */
  constructor(generator: IdGenerator) {
    this.#generator = generator;
    this.#timer = setInterval(() => this.#take(), PERIOD_MS);
  }

  /** When the last id was taken, as `performance.now()` tells. */
  get lastMs(): number {
    return this.#lastMs;
  }

  /** The longest time without ids since the last call, in ms. */
  longestGapMs(): number {
    const longestMs = Math.max(this.#longestMs, performance.now() - this.#lastMs);
    this.#longestMs = 0;
    return longestMs;
  }

  /** Waits for a new id. */
  async next(): Promise<void> {
    const count = this.ids.length;
    await until("there is an id", () => this.ids.length > count);
  }

  /** Takes no more. */
  stop(): void {
    clearInterval(this.#timer);
  }

  [Symbol.dispose](): void {
    this.stop();
  }

  #take(): void {
    const nowMs = performance.now();
    this.#longestMs = Math.max(this.#longestMs, nowMs - this.#lastMs);
    try {
      this.ids.push(this.#generator.nextId());
      this.#lastMs = nowMs;
    } catch {
      // There is none now.
    }
  }
}

/** How many ids came again, from one stream or from several. */
export function countRepeated(...streams: readonly IdStream[]): number {
  const ids = streams.flatMap((stream) => stream.ids);
  return ids.length - new Set(ids).size;
}
