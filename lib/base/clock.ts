/**
 * A clock that a generator reads the time from. `Date` is one.
 *
 * @example A clock that a test owns
 * ```ts
 * import { type Clock, IdGenerator } from "@global-id/global-id";
 *
 * let nowMs = Date.UTC(2030, 0, 1);
 * const clock: Clock = { now: () => nowMs };
 * const ids = new IdGenerator({ nodeId: 7, clock });
 * nowMs += 1000;
 * ids.nextId();
 * ```
 */
export interface Clock {
  /** Milliseconds since the Unix epoch; may have a fraction. The call must not have side effects on the generator. */
  now(): number;
}
