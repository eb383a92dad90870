import { checkInteger } from "../base/check.ts";
import type { Clock } from "../base/clock.ts";
import { ClockError } from "../base/errors.ts";
import { type IdGrant, IdStatus } from "./id_grant.ts";
import { checkSettings, type IdSequencerOptions } from "./id_sequencer_options.ts";
import type { IdLayout } from "./layout.ts";
import { SequenceLease, type SequencePool } from "./sequence_pool.ts";

/** The largest count of ids that a call may ask for; more than any tick has (2^31). */
export const MAX_COUNT = 2 ** 32 - 1;

/** After how many ms a retry makes sense when a reservation has run out. It is renewed about once a second. */
const NOT_RESERVED_RETRY_MS = 100;

/**
 * Decides which tick and which sequence number comes next: the engine of `IdGenerator`, and of the server's workers.
 * Its rules are those that `IdGenerator` states, with a status for every error. It throws nothing that depends on the
 * clock, and allocates nothing for a call.
 *
 * A sequencer has all sequence numbers of its node, or those of a subnode, or takes them from a pool that it shares
 * with others. A pool knows what is used, so rule 5 does not concern those that share one.
 */
export class IdSequencer {
  /** How the ids are laid out. */
  readonly layout: IdLayout;
  /** The node of all ids. */
  readonly nodeId: number;
  /** This part of the node. */
  readonly subnodeId: number;
  /** Into how many parts the node is split. */
  readonly subnodeCount: number;
  /** The distance from one id to the next within a tick. */
  readonly step: bigint;

  readonly #clock: Clock;
  readonly #monotonicClock: Clock;
  readonly #isLogical: boolean;
  readonly #pool: SequencePool | undefined;
  readonly #lease = new SequenceLease();

  /** The last tick used, or that counts as used up. Only ever grows. */
  #tick: number;
  /** When the sequencer moved to that tick, on the monotonic clock, in ms. */
  #movedMs = -Infinity;
  /**
   * The first tick that is not reserved; with a pool, the pool knows. Only ever grows, until the sequencer is closed.
   */
  #mark: number;
  #isClosed = false;
  /** When the tick begins and ends, in ms; an empty span as long as no call has found the clock in it. */
  #tickStartMs = Infinity;
  #tickEndMs = -Infinity;
  /**
   * The next sequence number of the tick; and the first that this sequencer does not have. None is left if they meet.
   */
  #sequence: number;
  #endSequence: number;
  /** Whether the pool had no more numbers of the tick when it was last asked; others may have given some back since. */
  #isPoolUsedUp = true;
  /** The ids of the tick but for their sequence number, as two 32-bit words. */
  #baseHigh = 0;
  #baseLow = 0;

  /**
   * Makes a sequencer. Without a pool and without a reservation, it has no ids for the tick that the clock is in (rule
   * 5).
   *
   * @param options The node, where sequence numbers come from, and how the sequencer differs from the defaults.
   * @throws {TypeError} If an option is of the wrong type, or two options exclude each other.
   * @throws {RangeError} If a number is out of its range.
   * @throws {ClockError} If the clock does not give a time.
   */
  constructor(options: IdSequencerOptions) {
    const { nodeId, subnodeId = 0, subnodeCount = 1, reservation, sequencePool } = options;
    const { layout, clock, clockPolicy, monotonicClock } = checkSettings(options);
    this.layout = layout;
    this.nodeId = checkInteger("nodeId", nodeId, 0, layout.maxNodeId);
    this.subnodeCount = checkInteger("subnodeCount", subnodeCount, 1, MAX_COUNT);
    this.subnodeId = checkInteger("subnodeId", subnodeId, 0, subnodeCount - 1);
    this.step = BigInt.asUintN(64, BigInt(subnodeCount) << BigInt(layout.sequenceShift));
    this.#clock = clock;
    this.#monotonicClock = monotonicClock;
    this.#isLogical = clockPolicy === "logical";
    this.#pool = sequencePool;
    if (sequencePool !== undefined && subnodeCount > 1) {
      throw new TypeError("sequencePool and subnodeCount cannot both be given: a pool is another way to split a node");
    }
    if (sequencePool !== undefined && reservation !== undefined) {
      throw new TypeError(
        "sequencePool and reservation cannot both be given: a pool knows what is reserved, and what is taken",
      );
    }

    this.#sequence = this.#endSequence = layout.maxSequence + 1;
    if (sequencePool !== undefined) {
      this.#tick = -1;
      this.#mark = Infinity;
    } else if (reservation === undefined) {
      this.#tick = this.#tickAt(clock.now());
      if (Number.isNaN(this.#tick)) throw new ClockError(NaN, 0, layout.tickMs);
      if (this.#isLogical) this.#movedMs = monotonicClock.now();
      this.#mark = Infinity;
    } else {
      this.#tick = checkInteger("reservation.firstTick", reservation.firstTick, 0, layout.maxTick + 1) - 1;
      this.#mark = checkInteger("reservation.mark", reservation.mark, 0, layout.maxTick + 1);
    }
  }

  /** The last tick used, or that counts as used up (rule 5): -1 if that is before the first one. */
  get lastTick(): number {
    return Math.max(this.#tick, -1);
  }

  /** How far the beginning of the last tick used is ahead of the clock, in ms; 0 if it is not. */
  get aheadMs(): number {
    const aheadMs = this.layout.epochMs + this.#tick * this.layout.tickMs - this.#clock.now();
    return aheadMs > 0 ? aheadMs : 0;
  }

  /** The first tick that is not reserved; `Infinity` if all are, and 0 once the sequencer or its pool is closed. */
  get mark(): number {
    return Math.min(this.#mark, this.#pool?.mark ?? Infinity);
  }

  /**
   * Tells the sequencer that its reservation goes further. It has no effect if it does not, nor once the sequencer is
   * closed.
   *
   * @param mark The first tick that is not reserved.
   * @throws {TypeError | RangeError} If it is not an integer from 0 to the layout's `maxTick + 1`.
   */
  extendReservation(mark: number): void {
    checkInteger("mark", mark, 0, this.layout.maxTick + 1);
    if (mark > this.#mark && !this.#isClosed) this.#mark = mark;
  }

  /** Gives up all ticks: there are no more ids. */
  close(): void {
    this.#isClosed = true;
    this.#mark = 0;
    this.#tickEndMs = -Infinity; // so that the next call looks at the mark
  }

  /**
   * Gives unused sequence numbers back to the pool. To be called once all requests are answered that were there when
   * the numbers were taken: a later request must get a higher id than any that its sender may have heard of. Without a
   * pool, the call has no effect.
   */
  releaseLease(): void {
    if (this.#sequence >= this.#endSequence || this.#pool === undefined) return;
    this.#pool.releaseLease(this.#unusedLease());
    this.#sequence = this.#endSequence;
    this.#isPoolUsedUp = false;
  }

  /**
   * Takes ids of one tick.
   *
   * @param count How many are wanted, 1 to 2^32 - 1.
   * @param grant Where the answer goes: up to `count` ids, at least 1, or after how many ms to try again.
   * @returns `IdStatus.OK`, or why there are none.
   * @throws {TypeError | RangeError} If the count is not such an integer.
   */
  tryRange(count: number, grant: IdGrant): IdStatus {
    // A count that is not an integer would break the sequence, so this is checked even here.
    if (count >>> 0 !== count || count === 0) checkInteger("count", count, 1, MAX_COUNT);

    const now = this.#clock.now();
    if (!(now >= this.#tickStartMs && now < this.#tickEndMs)) {
      const status = this.#moveTo(now, grant);
      if (status !== IdStatus.OK) return status;
    }
    // A range must not have a gap where a lease ends, so a range that is too long for the lease gets a new one.
    if (this.#sequence >= this.#endSequence || count > 1 && this.#isShortOf(count)) {
      const status = this.#takeMore(count, now, grant);
      if (status !== IdStatus.OK) return status;
    }
    grant.tick = this.#tick;
    const sequence = this.#sequence;
    const subnodeCount = this.subnodeCount;
    if (count > 1) count = Math.min(count, Math.ceil((this.#endSequence - sequence) / subnodeCount));
    this.#sequence = sequence + count * subnodeCount;

    const shift = this.layout.sequenceShift;
    grant.count = count;
    grant.firstLow = (this.#baseLow | sequence << shift) >>> 0;
    // The bits of the sequence number that the shift moves into the upper word. Two steps, since x >>> 32 is x >>> 0.
    grant.firstHigh = (this.#baseHigh | sequence >>> (31 - shift) >>> 1) >>> 0;
    return IdStatus.OK;
  }

  /** Moves to the tick of `now` if the rules 1 to 3 allow it. Changes nothing if they do not. */
  #moveTo(now: number, grant: IdGrant): IdStatus {
    const { layout } = this;
    let tick = this.#tickAt(now);
    if (this.#isLogical && tick < this.#tick) tick = this.#logicalTick();
    if (!(tick >= 0) || tick < this.#tick) {
      const firstUsableMs = layout.epochMs + Math.max(this.#tick, 0) * layout.tickMs;
      return this.#refuse(IdStatus.CLOCK_BEHIND, tick, firstUsableMs - now, grant);
    }
    if (tick > layout.maxTick) return this.#refuse(IdStatus.OUT_OF_TIME, tick, 0, grant);
    if (tick >= this.mark) return this.#refuse(IdStatus.NOT_RESERVED, tick, NOT_RESERVED_RETRY_MS, grant);

    if (tick > this.#tick) this.#enter(tick);
    this.#tickStartMs = layout.epochMs + tick * layout.tickMs;
    this.#tickEndMs = this.#tickStartMs + layout.tickMs;
    return IdStatus.OK;
  }

  /** Begins a tick. With a pool, there are no sequence numbers until they are taken from there. */
  #enter(tick: number): void {
    const { layout } = this;
    const base = layout.pack({ tick, sequence: 0, nodeId: this.nodeId });
    this.#baseHigh = Number(base >> 32n);
    this.#baseLow = Number(base & 0xffff_ffffn);
    this.#sequence = this.subnodeId;
    this.#endSequence = this.#pool === undefined ? layout.maxSequence + 1 : 0;
    this.#isPoolUsedUp = false;
    this.#tick = tick;
    if (this.#isLogical) this.#movedMs = this.#monotonicClock.now();
  }

  /** Takes more sequence numbers of the tick from the pool. Without a pool, there are no more. */
  #takeMore(count: number, now: number, grant: IdGrant): IdStatus {
    if (this.#pool !== undefined) {
      const status = this.#takeFromPool(this.#pool, count, now, grant);
      if (status !== IdStatus.OK) return status;
    }
    if (this.#sequence < this.#endSequence) return IdStatus.OK; // maybe fewer than are wanted
    return this.#refuse(IdStatus.OUT_OF_IDS, this.#tick, this.#nextTickInMs(now), grant);
  }

  /** Takes a lease from the pool: of this sequencer's tick, or of a later one to which the pool has gone on. */
  #takeFromPool(pool: SequencePool, count: number, now: number, grant: IdGrant): IdStatus {
    let lease = this.#unusedLease();
    pool.acquire(this.#tick, count, lease);
    while (lease.tick > this.#tick) {
      // Another sequencer has led the pool on: its clock was read a moment later, or ours has stepped back since.
      this.#enter(lease.tick);
      this.#tickEndMs = -Infinity; // so that the next call looks at the tick anew
      const status = this.#moveTo(now, grant);
      if (status !== IdStatus.OK) return status;
      lease = this.#unusedLease();
      pool.acquire(this.#tick, count, lease);
    }
    if (lease.end > lease.first) {
      this.#sequence = lease.first;
      this.#endSequence = lease.end;
      return IdStatus.OK;
    }
    // The pool may have been closed since #moveTo() looked at its mark.
    if (this.#tick >= this.mark) return this.#refuse(IdStatus.NOT_RESERVED, this.#tick, NOT_RESERVED_RETRY_MS, grant);
    this.#isPoolUsedUp = true;
    return IdStatus.OK;
  }

  /** Whether a lease has fewer sequence numbers left than are wanted. */
  #isShortOf(count: number): boolean {
    return this.#pool !== undefined && this.#endSequence - this.#sequence < count;
  }

  /** The rest of the lease. */
  #unusedLease(): SequenceLease {
    const lease = this.#lease;
    lease.tick = this.#tick;
    lease.first = this.#sequence;
    lease.end = this.#endSequence;
    return lease;
  }

  /**
   * The tick that serves as the clock's while the clock is behind: the last one used or, if time allows, the one after
   * it.
   */
  #logicalTick(): number {
    const isUsedUp = this.#sequence >= this.#endSequence && (this.#pool === undefined || this.#isPoolUsedUp);
    return isUsedUp && this.#logicalWaitMs() <= 0 ? this.#tick + 1 : this.#tick;
  }

  /** How long until the last tick used has lasted a whole tick, in ms. */
  #logicalWaitMs(): number {
    return this.#movedMs + this.layout.tickMs - this.#monotonicClock.now();
  }

  #nextTickInMs(now: number): number {
    return now < this.#tickStartMs ? this.#logicalWaitMs() : this.#tickEndMs - now;
  }

  #tickAt(now: number): number {
    return Math.floor((now - this.layout.epochMs) / this.layout.tickMs);
  }

  #refuse(status: IdStatus, tick: number, waitMs: number, grant: IdGrant): IdStatus {
    grant.count = 0;
    grant.tick = tick;
    grant.retryAfterMs = status === IdStatus.OUT_OF_TIME ? 0 : waitMs > 1 ? Math.ceil(waitMs) : 1;
    return status;
  }
}
