import type { StoreHistory } from "../../mod.ts";
import { FlakyStore } from "./flaky_store.ts";

/** The same, shared by machines: it tells a time of its own, and its history. */
export class SharedFlakyStore extends FlakyStore {
  override readonly isLocal = false;
  history: StoreHistory | undefined;
  readonly #time: { now(): number };
  /** How often it was asked for anything. */
  requests = 0;

  /** @param time What it says the time is. */
  constructor(time: { now(): number }) {
    super();
    this.#time = time;
  }

  now(): Promise<number> {
    this.requests++;
    return this.isOut ? Promise.reject(new Error("out of reach")) : Promise.resolve(this.#time.now());
  }

  override read(...args: Parameters<FlakyStore["read"]>): ReturnType<FlakyStore["read"]> {
    this.requests++;
    return super.read(...args);
  }

  override list(): ReturnType<FlakyStore["list"]> {
    this.requests++;
    return super.list();
  }

  override compareAndSet(...args: Parameters<FlakyStore["compareAndSet"]>): Promise<boolean> {
    this.requests++;
    return super.compareAndSet(...args);
  }
}
