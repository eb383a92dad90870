/** A service that a user could pick instead of this project's server, and how to measure it. */
export interface Alternative {
  /** Its name. */
  readonly name: string;

  /** Names the programs that are not installed, and how to install them; `undefined` if all are there. */
  missing(): Promise<string | undefined>;

  /**
   * Starts it, measures each way to use it in turn, and stops it, whether or not that went well.
   *
   * @param seconds How long to measure each, in seconds: a positive integer.
   * @throws {unknown} If it fails or is stopped, once everything is cleaned up.
   */
  measure(seconds: number): AsyncIterable<AlternativeResult>;
}

/** One way to use an alternative, and how fast that was. The name and `inFlight` together tell it from the others. */
export interface AlternativeResult {
  /** The request, and the settings of the service. */
  name: string;
  /** The data that it keeps when it crashes, in one line. */
  what: string;
  /** Ids given out a second. */
  idsPerSecond: number;
  /** Requests answered a second. */
  requestsPerSecond: number;
  /** How long half of the requests took at most, in us, as its load generator saw it. */
  p50Us: number;
  /** How long 99 % of them took at most, in us. */
  p99Us: number;
  /** How many requests were under way at once, over all connections. */
  inFlight: number;
}
