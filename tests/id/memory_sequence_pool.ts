import type { SequenceLease, SequencePool } from "../../lib/id/sequence_pool.ts";
import type { IdLayout } from "../../mod.ts";

/**
 * A pool for the generators of one process. It leases what it is asked for or, given a lease size, at least so many.
 */
export class MemorySequencePool implements SequencePool {
  /** The pool's tick, and how many of its sequence numbers are taken. */
  #tick: number;
  #taken: number;

  private readonly layout: IdLayout;
  mark: number;
  private readonly leaseSize: number;

  constructor(layout: IdLayout, firstTick: number, mark: number = Infinity, leaseSize: number = 1) {
    this.layout = layout;
    this.mark = mark;
    this.leaseSize = leaseSize;
    this.#tick = firstTick - 1;
    this.#taken = layout.maxSequence + 1;
  }

  acquire(tick: number, count: number, lease: SequenceLease): void {
    this.releaseLease(lease);
    lease.tick = tick;
    lease.first = lease.end = 0;
    if (tick >= this.mark) return;
    if (tick > this.#tick) [this.#tick, this.#taken] = [tick, 0];
    lease.tick = this.#tick;
    if (tick < this.#tick) return;
    lease.first = this.#taken;
    lease.end = this.#taken = Math.min(this.#taken + Math.max(count, this.leaseSize), this.layout.maxSequence + 1);
  }

  releaseLease(lease: SequenceLease): void {
    if (lease.first < lease.end && lease.tick === this.#tick && lease.end === this.#taken) this.#taken = lease.first;
    lease.first = lease.end;
  }
}
