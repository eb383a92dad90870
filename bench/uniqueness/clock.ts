import { setImmediate } from "node:timers";

/** A call that reads the time more often than this waits for the clock, which then moves on by 1 ms. */
const READS_PER_MS = 1000;

/** How long a call may keep the thread waiting, in ms of this clock. */
const SPIN_LIMIT_MS = 2000;

/** How long a promise may stay pending while no timer is set, in ms of real time. */
const IDLE_LIMIT_MS = 30_000;

interface Timer {
  dueMs: number;
  callback: () => void;
}

const RealDate = Date;
const realNow = performance.now.bind(performance);

/**
 * A clock that replaces the process's: `Date`, `performance.now`, `setTimeout`. The clock stands still until it is
 * moved, or until a generator waits for it: by reading it over and over, or for a timer while there is nothing else to
 * do.
 *
 * As in a real process, timers go by the time that passes, and setting the clock does not touch them.
 */
export class CompareClock {
  /** How long generators have waited for this clock, in ms. */
  waitedMs = 0;

  #wallMs: number;
  #passedMs = 0;
  #reads = 0;
  #spunMs = 0;
  readonly #timers = new Set<Timer>();

  constructor(nowMs: number) {
    this.#wallMs = nowMs;
  }

  /** Replaces the process's clock and timers by this one. */
  install(): void {
    const read = () => this.#read();
    globalThis.Date = class extends RealDate {
      constructor(...args: unknown[]) {
        super(...(args.length === 0 ? [read()] : args) as [number]);
      }
      static override now = read;
    } as DateConstructor;
    performance.now = () => this.#passedMs;
    globalThis.setTimeout = ((callback: (...args: unknown[]) => void, ms = 0, ...args: unknown[]) => {
      const timer = {
        dueMs: this.#passedMs + Math.max(ms, 0),
        callback: () => callback(...args),
        ref() {},
        unref() {},
      };
      this.#timers.add(timer);
      return timer;
    }) as unknown as typeof setTimeout;
    globalThis.clearTimeout = ((timer: Timer) => this.#timers.delete(timer)) as unknown as typeof clearTimeout;
  }

  /** The time that it shows, in ms since the Unix epoch. Reading it here does not count as waiting. */
  get nowMs(): number {
    return this.#wallMs;
  }

  /** Tells it that a call begins: the reads are counted from here on. */
  beginCall(): void {
    this.#reads = 0;
    this.#spunMs = 0;
  }

  /** Sets the clock, as an administrator or NTP does. No time passes. */
  set(ms: number): void {
    this.#wallMs = ms;
  }

  /** Lets time pass until the clock shows that time. It stays if it is past it. */
  async goTo(ms: number): Promise<void> {
    const endMs = this.#passedMs + Math.max(ms - this.#wallMs, 0);
    for (let timer = this.#nextTimer(); timer !== undefined && timer.dueMs <= endMs; timer = this.#nextTimer()) {
      this.#passTo(timer.dueMs);
      this.#fire(timer);
      await turn();
    }
    this.#passTo(endMs);
  }

  /** Waits for a promise, and lets time pass as far as the promise needs. */
  async settle<T>(promise: Promise<T>): Promise<T> {
    let isSettled = false;
    promise.then(() => isSettled = true, () => isSettled = true);
    let busyAtMs = realNow();
    for (await turn(); !isSettled; await turn()) {
      const timer = this.#nextTimer();
      if (timer !== undefined) {
        this.waitedMs += this.#passTo(timer.dueMs);
        this.#fire(timer);
        busyAtMs = realNow();
      } else if (realNow() - busyAtMs > IDLE_LIMIT_MS) {
        throw new Error("waits while no timer is set");
      }
    }
    return promise;
  }

  #read(): number {
    if (++this.#reads > READS_PER_MS) {
      this.#reads = 0;
      if (++this.#spunMs > SPIN_LIMIT_MS) throw new Error(`blocks the thread for more than ${SPIN_LIMIT_MS} ms`);
      this.waitedMs += this.#passTo(this.#passedMs + 1);
    }
    return this.#wallMs;
  }

  /** Lets time pass, and returns how much; none if it has passed already. */
  #passTo(passedMs: number): number {
    const ms = Math.max(passedMs - this.#passedMs, 0);
    this.#wallMs += ms;
    this.#passedMs += ms;
    return ms;
  }

  #nextTimer(): Timer | undefined {
    let next: Timer | undefined;
    for (const timer of this.#timers) if (next === undefined || timer.dueMs < next.dueMs) next = timer;
    return next;
  }

  #fire(timer: Timer): void {
    this.#timers.delete(timer);
    this.beginCall();
    timer.callback();
  }
}

/** Lets the event loop turn once, in no time of this clock. */
function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
