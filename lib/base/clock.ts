/** What a generator reads the time from. `Date` is one. */
export interface Clock {
  /** Milliseconds since the Unix epoch; may have a fraction. It must not have side effects on the generator. */
  now(): number;
}
