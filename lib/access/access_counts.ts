import { COUNT_WORDS } from "../node/pool_memory.ts";
import { REQUEST_COUNT } from "../wire/request_counts.ts";

/**
 * What became of the datagrams of a worker: the index of each count. The order is part of the pool's format (see
 * `lib/node/pool_memory.ts`): a new count goes behind the last one.
 */
export const COUNT = {
  /** Those of the responder; datagrams from a port that no client has count as no request, too. */
  ...REQUEST_COUNT,
  /** Datagrams from addresses that the allow list does not let in. */
  refused: 3,
  /** Datagrams without a valid MAC, where only signed requests are answered. */
  unsigned: 4,
  /** Signed requests that were answered before. */
  replayed: 5,
  /** Signed requests of another time: too old, or ahead of the clock. */
  stale: 6,
  /** Requests of sources whose ids of the tick are spent. */
  limited: 7,
  /** Datagrams that were dropped unread, since their sender had had its share of a receive. */
  shed: 8,
  /** Datagrams that the kernel dropped, since the socket had no room for them. */
  overflowed: 9,
} as const;

/** The name of a count. */
export type CountName = keyof typeof COUNT;

/**
 * The counts of a worker, by the indices of {@linkcode COUNT}. Words of floating point count to 2^53 without
 * allocating: `counts[COUNT.refused]++` is all that the way of a datagram does.
 */
export type AccessCounts = Float64Array<ArrayBuffer>;

/** Makes counts of 0. */
export function createAccessCounts(): AccessCounts {
  return new Float64Array(COUNT_WORDS);
}
