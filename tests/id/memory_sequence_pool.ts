import type { IdLayout, SequenceLease, SequencePool } from "../../mod.ts";

/** A pool for the generators of one process, which hands out `leaseSize` sequence numbers at a time, or what is asked for. */
export class MemorySequencePool implements SequencePool {
  /** The pool's tick, and how many of its sequence numbers are taken. */
  #tick: number;
  #taken: number;

  constructor(private readonly layout: IdLayout, firstTick: number, private readonly leaseSize: number) {
    this.#tick = firstTick - 1;
    this.#taken = layout.maxSequence + 1;
  }

  take(tick: number, count: number, lease: SequenceLease): void {
    if (tick > this.#tick) [this.#tick, this.#taken] = [tick, 0];
    lease.tick = this.#tick;
    lease.first = lease.end = this.#taken;
    if (tick < this.#tick) return;
    lease.end = this.#taken = Math.min(this.#taken + Math.max(count, this.leaseSize), this.layout.maxSequence + 1);
  }
}
