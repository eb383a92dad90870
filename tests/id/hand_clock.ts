import type { Clock } from "../../mod.ts";

/** A clock that stands still until the test moves it. */
export class HandClock implements Clock {
  ms: number;

  constructor(ms: number) {
    this.ms = ms;
  }

  now(): number {
    return this.ms;
  }
}
