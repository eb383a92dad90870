/**
 * Where generators of one node that run side by side take their sequence numbers from. Each takes some at a time, and so
 * whoever is asked for more ids gets more of the tick, and none are left over.
 *
 * **The invariant**: a sequence number of a tick is handed out once. A pool is in one tick at a time, and only ever goes on to
 * later ones.
 */
export interface SequencePool {
  /**
   * Takes sequence numbers of a tick. A later tick than the pool's becomes the pool's.
   *
   * @param tick The tick.
   * @param count How many are wanted, 1 to 2^32 - 1.
   * @param lease Where the answer goes. The pool's tick is in it, which is a later one than `tick` if another generator is ahead;
   * then there are none. Else there are `count`, or a few more so that not every id has to be taken from the pool, or those that
   * are left.
   */
  take(tick: number, count: number, lease: SequenceLease): void;
}

/** Where a {@linkcode SequencePool} writes its answer. */
export class SequenceLease {
  /** The pool's tick. */
  tick: number = -1;
  /** The first sequence number taken. */
  first = 0;
  /** The first one after it that is not taken; the same as `first` if there are none. */
  end = 0;
}
