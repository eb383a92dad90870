/** The program's timers and monotonic clock, as a test wants them to go. */
export class HeldTime implements Disposable {
  readonly #real = [globalThis.setTimeout, globalThis.clearTimeout, performance.now] as const;
  readonly #timers = new Map<number, { run: () => void; dueMs: number }>();
  /** The time, in ms. */
  ms = 0;
  /** The delays of all timers so far, in ms. */
  readonly delays: number[] = [];

  constructor() {
    globalThis.setTimeout = ((run: () => void, ms: number) => {
      this.#timers.set(this.delays.push(ms), { run, dueMs: this.ms + ms });
      return this.delays.length;
    }) as typeof setTimeout;
    globalThis.clearTimeout = (timer) => void this.#timers.delete(timer as number);
    performance.now = () => this.ms;
  }

  /** How many timers are set. */
  get count(): number {
    return this.#timers.size;
  }

  /** Fires all timers that are set, and lets what waits for them go on. */
  async fire(): Promise<void> {
    const timers = [...this.#timers.values()];
    this.#timers.clear();
    for (const { run } of timers) run();
    await turn();
  }

  /** Lets the time go on to `ms`, and fires each timer at its time on the way. */
  async goTo(ms: number): Promise<void> {
    while (true) {
      const [next] = [...this.#timers].filter(([, { dueMs }]) => dueMs <= ms).sort(([, a], [, b]) => a.dueMs - b.dueMs);
      if (next === undefined) break;
      const [timer, { run, dueMs }] = next;
      this.#timers.delete(timer);
      this.ms = Math.max(this.ms, dueMs);
      run();
      await turn();
    }
    this.ms = ms;
  }

  [Symbol.dispose](): void {
    [globalThis.setTimeout, globalThis.clearTimeout, performance.now] = this.#real;
  }
}

/** Lets all promises go on that can. */
export async function turn(): Promise<void> {
  for (let i = 0; i < 20; i++) await Promise.resolve();
}
