import type { World } from "./world.ts";

/** Sends a request, as `fetch` does. */
export type Fetch = (url: string, init: RequestInit) => Promise<Response>;

/**
 * Gives the code under simulation the world's time, timers and random numbers, and a network of its own, in the place
 * of the runtime's. Disposing of it gives the runtime back.
 */
export class VirtualRuntime implements Disposable {
  readonly #undo = new DisposableStack();

  /**
   * Takes the runtime's place.
   *
   * @param world What all of a simulation shares.
   * @param fetch The network.
   */
  constructor(world: World, fetch: Fetch) {
    const timers = new Map<number, () => void>();
    let timerCount = 0;
    // Most errors are expected, and where they were thrown is of no interest: a trace costs more than all else.
    this.#replace(Error, "stackTraceLimit", 0);
    this.#replace(Math, "random", () => world.between(0, 1));
    this.#replace(performance, "now", () => world.nowMs);
    this.#replace(globalThis, "fetch", fetch);
    this.#replace(Deno, "createHttpClient", () => ({ close: () => {} }));
    this.#replace(globalThis, "setTimeout", (happen: () => void, ms = 0) => {
      const timer = ++timerCount;
      const fire = () => {
        timers.delete(timer);
        happen();
      };
      timers.set(timer, world.after(ms, fire));
      return timer;
    });
    this.#replace(globalThis, "clearTimeout", (timer: number) => {
      timers.get(timer)?.();
      timers.delete(timer);
    });
  }

  /** Gives the runtime back. */
  [Symbol.dispose](): void {
    this.#undo.dispose();
  }

  #replace(object: object, name: string, value: unknown): void {
    const before = Object.getOwnPropertyDescriptor(object, name);
    Object.defineProperty(object, name, { configurable: true, writable: true, value });
    this.#undo.defer(() => {
      if (before === undefined) Reflect.deleteProperty(object, name);
      else Object.defineProperty(object, name, before);
    });
  }
}
