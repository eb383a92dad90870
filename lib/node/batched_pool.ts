import type { SequenceLease, SequencePool } from "../id/sequence_pool.ts";

/**
 * A pool for a worker whose requests come in batches: it leases once a batch instead of once a request. (Leases for
 * each request made two workers with batches of 256 datagrams less than half as fast.)
 *
 * Ids stay in order: all requests of a batch were sent before any id of its lease was, so any of them may get any of
 * these ids.
 *
 * A lease has no more ids than the batch has datagrams, nor than the batch before used or this one has used so far. So
 * datagrams that ask for no ids waste few of them, even if another worker leases meanwhile and the rest of the lease
 * cannot be released.
 */
export class BatchedPool implements SequencePool {
  readonly #pool: SequencePool;
  /** How many datagrams the batch has. */
  #datagrams = 0;
  /** How many ids have been leased for the batch and not been released. */
  #leased = 0;
  /** How many ids the batch before used. */
  #usedBefore = 0;

  /**
   * Makes a batched pool.
   *
   * @param pool The pool to lease from.
   */
  constructor(pool: SequencePool) {
    this.#pool = pool;
  }

  /**
   * Begins a batch. The lease of the batch before must have been released.
   *
   * @param datagrams How many datagrams the batch has.
   */
  begin(datagrams: number): void {
    this.#usedBefore = this.#leased;
    this.#datagrams = datagrams;
    this.#leased = 0;
  }

  /** See {@linkcode SequencePool.mark}. */
  get mark(): number {
    return this.#pool.mark;
  }

  /** See {@linkcode SequencePool.acquire}. */
  acquire(tick: number, count: number, lease: SequenceLease): void {
    const expected = Math.min(this.#datagrams - this.#leased, Math.max(this.#leased, this.#usedBefore));
    this.#pool.acquire(tick, Math.max(count, expected), lease);
    this.#leased += lease.end - lease.first;
  }

  /** See {@linkcode SequencePool.releaseLease}. */
  releaseLease(lease: SequenceLease): void {
    this.#leased -= lease.end - lease.first;
    this.#pool.releaseLease(lease);
  }
}
