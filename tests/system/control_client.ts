import { IdClient, type IdClientOptions } from "../../client.ts";

/** How long the control client waits between two ids, in ms. */
const BEAT_MS = 1;

/** A beat that takes longer than this, in ms, is a pause: as a rule, one takes 1 to 2 ms. */
const PAUSE_MS = 10;

/** A span of time, in ms on the monotonic clock. */
export interface Span {
  readonly beginMs: number;
  readonly endMs: number;
}

/**
 * Tells for how long the machine itself paused: takes one id after the other from a server that is well, through a
 * client that knows no other. Where an id takes long, the machine had no CPU for this process or for that server.
 */
export class ControlClient implements AsyncDisposable {
  /** The pauses so far. They do not overlap. */
  readonly pauses: Span[] = [];
  readonly #client: IdClient;
  readonly #loop: Promise<void>;
  #isOver = false;

  /** Begins to take ids. */
  constructor(options: IdClientOptions) {
    this.#client = new IdClient(options);
    this.#loop = this.#beat();
  }

  /** Ends once the pause is over that there may be now. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#isOver = true;
    await this.#loop;
    this.#client.close();
  }

  async #beat(): Promise<void> {
    while (!this.#isOver) {
      const beginMs = performance.now();
      await new Promise((resolve) => setTimeout(resolve, BEAT_MS));
      await this.#client.nextId();
      const endMs = performance.now();
      if (endMs - beginMs > PAUSE_MS) this.pauses.push({ beginMs, endMs });
    }
  }
}

/** How long a call took but for the machine's pauses, in ms. */
export function ownMs({ beginMs, endMs }: Span, pauses: readonly Span[]): number {
  const pausedMs = pauses.map((pause) => Math.min(pause.endMs, endMs) - Math.max(pause.beginMs, beginMs))
    .filter((ms) => ms > 0);
  return pausedMs.reduce((left, ms) => left - ms, endMs - beginMs);
}
