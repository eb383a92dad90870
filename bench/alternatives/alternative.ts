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

/** One way to use an alternative, and how fast that was. */
export interface AlternativeResult extends Speed {
  /** The request, the settings of the service, and how many requests were in flight, over all connections. */
  name: string;
  /** The data that it keeps when it crashes, in one line. */
  keeps: string;
  idsPerSecond: number;
}

/** How fast requests were answered, as the load generator of an alternative saw it. */
export interface Speed {
  repliesPerSecond: number;
  /** How long half of the requests took at most, in us. */
  p50Us: number;
  /** How long 99 % of them took at most, in us. */
  p99Us: number;
}
