/**
 * Where generators of one node that run side by side take their sequence numbers from. So whoever is asked for more ids
 * gets more of the tick.
 *
 * **The invariant**: a sequence number of a tick is handed out once, and whoever takes some later gets higher ones. A
 * pool is in one tick at a time, and only ever goes on to later ones.
 *
 * A pool may lease more than it is asked for. A lease is for requests that were there when it was taken, and what is
 * left after them is given back. So an id that is asked for later is higher, whoever is asked.
 */
export interface SequencePool {
  /**
   * The first tick that is not reserved. It only grows; but once the pool is closed, it is 0, and there are no ids ever
   * after.
   */
  readonly mark: number;

  /**
   * Takes sequence numbers of a tick. A later tick than the pool's becomes the pool's.
   *
   * @param tick The tick.
   * @param count How many are wanted, 1 to 2^32 - 1.
   * @param lease Where the answer goes: as many as are wanted or more, or those that are left. There are none if the
   * tick is not reserved, nor if another generator is ahead, in a later tick, which then is the lease's. What is left
   * of it from before is given back first.
   */
  acquire(tick: number, count: number, lease: SequenceLease): void;

  /** Gives back what is left of a lease. If somebody else has taken some since, it is lost: ids only ever grow. */
  releaseLease(lease: SequenceLease): void;
}

/** What was taken from a {@linkcode SequencePool}, and is still to be used. */
export class SequenceLease {
  /** The tick that was asked for, or a later one if that is the pool's by now. */
  tick: number = -1;
  /** The next sequence number of it. */
  first: number = 0;
  /** The first one after it that was not taken; the same as `first` if there are none. */
  end: number = 0;
}
