/**
 * Shares the sequence numbers of a node among sequencers that run side by side. Busy sequencers take a larger share, so
 * no ids go unused.
 *
 * **The invariant**: a pool hands out each sequence number of a tick once, and later takers get higher numbers. A pool
 * is in one tick at a time, and only ever goes on to later ones.
 *
 * A pool may lease more numbers than a sequencer wants. A lease is for the requests that were there when it was taken;
 * the sequencer gives back what is left after them. So a later request gets a higher id, whichever sequencer answers.
 */
export interface SequencePool {
  /**
   * The first tick that is not reserved. It only grows; once the pool is closed, it is 0, and there are no more ids.
   */
  readonly mark: number;

  /**
   * Takes sequence numbers of a tick. A later tick than the pool's becomes the pool's.
   *
   * @param tick The tick.
   * @param count How many are wanted, 1 to 2^32 - 1.
   * @param lease Where the answer goes: as many numbers as are wanted or more, or those that are left. It gets none if
   * the tick is not reserved. It gets none either if another sequencer has led the pool to a later tick, which then is
   * the lease's. Before anything is taken, the numbers that the lease still has are given back.
   */
  acquire(tick: number, count: number, lease: SequenceLease): void;

  /**
   * Gives back what is left of a lease. The numbers are lost if another sequencer has taken some since: ids only ever
   * grow.
   */
  releaseLease(lease: SequenceLease): void;
}

/** Sequence numbers that were taken from a {@linkcode SequencePool} and are not used yet. */
export class SequenceLease {
  /** The tick that was wanted, or a later one if the pool has gone on to that. */
  tick: number = -1;
  /** The next sequence number of the tick. */
  first: number = 0;
  /** The first sequence number after the lease; equal to `first` if nothing is left. */
  end: number = 0;
}
