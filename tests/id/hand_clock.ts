import type { Clock } from "../../mod.ts";

/** A clock that stands still until the test moves it. */
export class HandClock implements Clock {
  constructor(public ms: number) {}

  now(): number {
    return this.ms;
  }
}
