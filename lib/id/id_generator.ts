import type { Clock } from "../base/clock.ts";
import { checkInteger, describe } from "../base/check.ts";
import type { GlobalIdError } from "../base/errors.ts";
import { ClockError, NotReservedError, OutOfIdsError, OutOfTimeError } from "./errors.ts";
import { IdGrant, IdStatus } from "./id_grant.ts";
import { IdRange } from "./id_range.ts";
import { IdLayout } from "./layout.ts";
import type { IdGeneratorOpenOptions, IdGeneratorOptions } from "./id_generator_options.ts";
import { DEFAULT_LAYOUT } from "./presets.ts";
import { SequenceLease, type SequencePool } from "./sequence_pool.ts";
import { claimNode } from "../reservation/claim.ts";
import { ReservationKeeper } from "../reservation/keeper.ts";

/** Above any number of ids that a tick can have (2^31). */
const MAX_COUNT = 2 ** 32 - 1;

/** How soon to ask again when a reservation has run out, in ms: it is renewed within a second or so of there being a way. */
const NOT_RESERVED_RETRY_MS = 100;

/**
 * Hands out ids that ascend and are never given out twice.
 *
 * A node can be split into subnodes that need not know of each other: subnode i of n only ever uses the sequence numbers
 * s with s % n = i. With more subnodes than sequence numbers, those past the end have no ids at all. Or generators of a node share
 * a pool, and take their sequence numbers from there.
 *
 * The rules, in the order in which they are checked at every call:
 *
 * 1. The clock is behind the layout's epoch: `ClockError`.
 * 2. The clock's tick is lower than the last tick used: `ClockError`, or with the policy `"logical"`, the last tick used or
 *    the one after it serves as the clock's. A step back within a tick does no harm, since tick and sequence number together
 *    still only grow.
 * 3. The clock's tick does not fit the layout's time bits: `OutOfTimeError`. It is not reserved: `NotReservedError`.
 * 4. The sequence numbers of the tick are used up: `OutOfIdsError`.
 * 5. The tick before the first one reserved counts as used up. Without a reservation, it is the tick in which the generator was
 *    made, since an earlier process with the same node id may have used part of it: with 1 s ticks, the first id is there
 *    within a second. (A pool knows what is used, and has the rest.)
 *
 * A call that fails changes nothing that a later call depends on.
 *
 * **What these rules do not cover** without a reservation, because a process cannot know it by itself: two generators with the
 * same node and subnode at the same time, and a clock that was set back while no process was running. `IdGenerator.open` covers
 * both, with a store that remembers.
 *
 * @example One id, many ids, and no ids
 * ```ts
 * import { IdGenerator, OutOfIdsError } from "@global-id/global-id";
 * import { assertEquals, assertThrows } from "@std/assert";
 *
 * let now = Date.UTC(2030, 0, 1);
 * const ids = new IdGenerator({ nodeId: 7, clock: { now: () => now } });
 *
 * const error = assertThrows(() => ids.nextId(), OutOfIdsError); // rule 5
 * now += error.retryAfterMs;
 *
 * const id = ids.nextId();
 * assertEquals(ids.layout.unpack(id).nodeId, 7);
 * assertEquals([...ids.nextRange(1000)].length, 1000);
 * ```
 */
export class IdGenerator implements AsyncDisposable {
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
  readonly #grant = new IdGrant();
  readonly #pool: SequencePool | undefined;
  readonly #lease = new SequenceLease();

  /** What renews the reservation, and what keeps it from being renewed, if this was opened with a store. */
  #keeper: ReservationKeeper | undefined;
  #trouble: unknown;
  #isClosed = false;

  /** The last tick used, or that counts as used up. Only ever grows. */
  #tick: number;
  /** When the generator moved to it, on the monotonic clock, in ms. */
  #movedMs = -Infinity;
  /** The first tick that is not reserved. Only ever grows, until the generator is closed. */
  #mark: number;
  /** When that tick begins and ends, in ms; an empty span as long as no call has found the clock in it. */
  #tickStartMs = Infinity;
  #tickEndMs = -Infinity;
  /** The next sequence number in it, and the first one after it that is not this generator's; not below if there is none. */
  #sequence: number;
  #endSequence: number;
  /** Whether the pool had none left in that tick when it was last asked; others may have given some back since. */
  #isPoolUsedUp = true;
  /** The ids of that tick but for their sequence number, as two 32-bit words. */
  #baseHigh = 0;
  #baseLow = 0;

  /**
   * Makes a generator. It has no ids for the tick that the clock is in now (rule 5).
   *
   * @param options The node, and how it differs from the defaults.
   * @throws {TypeError} If an option is of the wrong type.
   * @throws {RangeError} If a number is out of its range.
   * @throws {ClockError} If the clock does not give a time.
   */
  constructor(options: IdGeneratorOptions) {
    const { nodeId, subnodeId = 0, subnodeCount = 1, layout = DEFAULT_LAYOUT, clock = Date, reservation } = options;
    const { clockPolicy = "refuse", monotonicClock = performance, sequencePool } = options;
    if (!(layout instanceof IdLayout)) throw new TypeError(`layout must be an IdLayout: got ${describe(layout)}`);
    checkClock("clock", clock);
    checkClock("monotonicClock", monotonicClock);
    if (clockPolicy !== "refuse" && clockPolicy !== "logical") {
      throw new TypeError(`clockPolicy must be "refuse" or "logical": got ${describe(clockPolicy)}`);
    }
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

  /**
   * Tells the generator that its reservation goes further. It has no effect if it does not.
   *
   * @param mark The first tick that is not reserved.
   * @throws {TypeError | RangeError} If it is not an integer from 0 to the layout's `maxTick + 1`.
   */
  extendReservation(mark: number): void {
    checkInteger("mark", mark, 0, this.layout.maxTick + 1);
    if (mark > this.#mark && !this.#isClosed) this.#mark = mark;
  }

  /**
   * Gives back to the pool what was taken from it and is not used. To be called once all requests are answered that were there when it
   * was taken: a later request must get a higher id than any that its sender may have heard of. Has no effect without a pool.
   */
  releaseLease(): void {
    if (this.#sequence >= this.#endSequence || this.#pool === undefined) return;
    this.#pool.releaseLease(this.#leftOver());
    this.#sequence = this.#endSequence;
    this.#isPoolUsedUp = false;
  }

  /**
   * The last tick used, or that counts as used up (rule 5): -1 if that is before the first one.
   */
  get lastTick(): number {
    return Math.max(this.#tick, -1);
  }

  /** How far the beginning of that tick is ahead of the clock, in ms; 0 if it is not. */
  get aheadMs(): number {
    const aheadMs = this.layout.epochMs + this.#tick * this.layout.tickMs - this.#clock.now();
    return aheadMs > 0 ? aheadMs : 0;
  }

  /**
   * Makes a generator whose ids are kept apart from all others' by a store: those of earlier processes, of other replicas, of a
   * process that was thought dead and is not, whatever their clocks say. It holds its node until it is closed, and renews its
   * reservation in the background; while the store is out of reach, ids go on for about 3 s, and again as soon as it is back.
   *
   * The first id is there with the next tick, on a node that was never held or that was closed. A node whose holder did not close it is
   * watched for 5 s first; then the first id is there as soon as the clock is past what that one had reserved (with the policy
   * `"logical"`, at once), which is mostly over by then.
   *
   * @param options The store, and how the generator differs from the defaults.
   * @returns The generator; to be closed, best with `await using`.
   * @throws {NodeHeldError} If the node is held, or all nodes are.
   * @throws {LayoutMismatchError} If the node is on record with another layout.
   * @throws {unknown} What the store throws.
   *
   * @example Replicas that get their node ids from the store
   * ```ts
   * import { IdGenerator, MemoryReservationStore } from "@global-id/global-id";
   * import { assertEquals } from "@std/assert";
   *
   * let now = Date.UTC(2030, 0, 1);
   * const clock = { now: () => now }; // leave it out for the system's
   * const store = new MemoryReservationStore(); // for one process; several need one that they share
   * await using ids = await IdGenerator.open({ store, clock });
   * now += 1000;
   * assertEquals(ids.layout.unpack(ids.nextId()).nodeId, ids.nodeId);
   * ```
   */
  static async open(options: IdGeneratorOpenOptions): Promise<IdGenerator> {
    const { store, nodeId, layout = DEFAULT_LAYOUT, clock = Date, clockPolicy, onError } = options;
    new IdGenerator({ ...options, nodeId: nodeId ?? 0 }); // throws if an option is wrong, before a node is taken
    const holder = await claimNode({
      ...{ store, nodeId, layout, clock, maxNodeId: layout.maxNodeId, name: crypto.randomUUID() },
      monotonicClock: options.monotonicClock ?? performance,
      isBehindAllowed: clockPolicy === "logical",
      sleep: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
    });
    const reservation = { firstTick: holder.firstTick, mark: holder.mark };
    const ids = new IdGenerator({ ...options, nodeId: holder.nodeId, reservation });
    ids.#keeper = new ReservationKeeper(holder, {
      check: () => {},
      usedTick: () => ids.lastTick,
      onMark: (mark) => (ids.#trouble = undefined, ids.extendReservation(mark)),
      onError: (error) => (ids.#trouble = error, onError?.(error)),
    });
    return ids;
  }

  /**
   * Gives back the node of a generator that was opened with a store, and the ticks that it has not used, so that another may have both at
   * once. There are no more ids. Has no effect on a generator that was not opened with a store.
   */
  async close(): Promise<void> {
    if (this.#keeper === undefined) return;
    this.#isClosed = true;
    this.#mark = 0;
    this.#tickEndMs = -Infinity; // so that the next call looks at the reservation
    await this.#keeper.release(this.lastTick + 1);
  }

  /** Closes the generator. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /**
   * Gives out one id.
   *
   * @returns The id, higher than all before it.
   * @throws {OutOfIdsError} If the tick's ids are used up.
   * @throws {ClockError} If the clock is behind the last tick used, or behind the layout's epoch.
   * @throws {OutOfTimeError} If the clock is past the layout's last tick.
   * @throws {NotReservedError} If the clock's tick is not reserved.
   */
  nextId(): bigint {
    this.#takeOrThrow(1);
    return idOf(this.#grant);
  }

  /**
   * Gives out one id as a `number`, for a layout of at most 53 bits, such as `NUMBER_LAYOUT`.
   *
   * @returns The id, higher than all before it.
   * @throws {RangeError} If the layout has more than 53 bits: its ids would not be exact.
   * @throws {OutOfIdsError} If the tick's ids are used up.
   * @throws {ClockError} If the clock is behind the last tick used, or behind the layout's epoch.
   * @throws {OutOfTimeError} If the clock is past the layout's last tick.
   * @throws {NotReservedError} If the clock's tick is not reserved.
   *
   * @example
   * ```ts
   * import { IdGenerator, NUMBER_LAYOUT } from "@global-id/global-id";
   * import { assert } from "@std/assert";
   *
   * let now = Date.UTC(2030, 0, 1);
   * const ids = new IdGenerator({ nodeId: 7, layout: NUMBER_LAYOUT, clock: { now: () => now } });
   * now += 1000;
   * assert(Number.isSafeInteger(ids.nextNumber()));
   * ```
   */
  nextNumber(): number {
    if (this.layout.totalBits > 53) {
      throw new RangeError(
        `a number is exact up to 53 bits, and the layout has ${this.layout.totalBits}: use nextId(), or NUMBER_LAYOUT`,
      );
    }
    this.#takeOrThrow(1);
    return this.#grant.firstHigh * 2 ** 32 + this.#grant.firstLow;
  }

  /**
   * Gives out ids of one tick at once.
   *
   * @param count How many are wanted, 1 to 2^32 - 1.
   * @returns As many as the tick still has, at least 1 and at most `count`, all higher than any before them.
   * @throws {TypeError | RangeError} If the count is not such an integer.
   * @throws {OutOfIdsError} If the tick's ids are used up.
   * @throws {ClockError} If the clock is behind the last tick used, or behind the layout's epoch.
   * @throws {OutOfTimeError} If the clock is past the layout's last tick.
   * @throws {NotReservedError} If the clock's tick is not reserved.
   */
  nextRange(count: number): IdRange {
    this.#takeOrThrow(count);
    return new IdRange(idOf(this.#grant), this.step, this.#grant.count);
  }

  /**
   * Fills an array with ids from its beginning, as far as the current tick goes. Makes no garbage.
   *
   * @param target Where the ids go. What is past the last one written is left as it was.
   * @returns How many were written: 0 if the tick's ids are used up.
   * @throws {TypeError} If the target is not a `BigUint64Array`.
   * @throws {ClockError} If the clock is behind the last tick used, or behind the layout's epoch.
   * @throws {OutOfTimeError} If the clock is past the layout's last tick.
   * @throws {NotReservedError} If the clock's tick is not reserved.
   *
   * @example
   * ```ts
   * import { IdGenerator } from "@global-id/global-id";
   * import { assertEquals } from "@std/assert";
   *
   * let now = Date.UTC(2030, 0, 1);
   * const ids = new IdGenerator({ nodeId: 7, clock: { now: () => now } });
   * now += 1000;
   * const batch = new BigUint64Array(200_000);
   * assertEquals(ids.fill(batch), 131_072); // all that a tick has
   * ```
   */
  fill(target: BigUint64Array): number {
    if (!(target instanceof BigUint64Array)) {
      throw new TypeError(`target must be a BigUint64Array: got ${describe(target)}`);
    }
    if (target.length === 0) return 0;
    const grant = this.#grant;
    const status = this.tryRange(Math.min(target.length, MAX_COUNT), grant);
    if (status === IdStatus.OUT_OF_IDS) return 0;
    if (status !== IdStatus.OK) throw this.#errorOf(status);

    const { count } = grant;
    const first = idOf(grant);
    const step = this.step;
    // In registers, as in idOf(). A bigint carried from one round to the next would be made anew in each.
    for (let i = 0; i < count; i++) target[i] = BigInt.asUintN(64, first + BigInt(i >>> 0) * step);
    return count;
  }

  /**
   * The form for hot paths: takes ids of one tick, throws nothing that depends on the clock, allocates nothing.
   *
   * @param count How many are wanted, 1 to 2^32 - 1.
   * @param grant Where the answer goes: up to `count` ids, at least 1, or after how many ms to try again.
   * @returns `IdStatus.OK`, or why there are none.
   * @throws {TypeError | RangeError} If the count is not such an integer.
   *
   * @example
   * ```ts
   * import { IdGenerator, IdGrant, IdStatus } from "@global-id/global-id";
   * import { assertEquals } from "@std/assert";
   *
   * let now = Date.UTC(2030, 0, 1);
   * const ids = new IdGenerator({ nodeId: 7, clock: { now: () => now } });
   * const grant = new IdGrant();
   * assertEquals(ids.tryRange(10, grant), IdStatus.OUT_OF_IDS);
   * now += grant.retryAfterMs;
   * assertEquals(ids.tryRange(10, grant), IdStatus.OK);
   * assertEquals(grant.count, 10);
   * ```
   */
  tryRange(count: number, grant: IdGrant): IdStatus {
    // A count that is not an integer would break the sequence, so this is checked even here.
    if (count >>> 0 !== count || count === 0) checkInteger("count", count, 1, MAX_COUNT);

    const now = this.#clock.now();
    if (!(now >= this.#tickStartMs && now < this.#tickEndMs)) {
      const status = this.#moveTo(now, grant);
      if (status !== IdStatus.OK) return status;
    }
    // A range is to have no gap where what was taken from the pool ends.
    if (this.#sequence >= this.#endSequence || count > 1 && this.#isShortOf(count)) {
      const status = this.#takeFromPool(count, now, grant);
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
    if (tick >= this.#firstUnreservedTick) return this.#refuseUnreserved(tick, grant);

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

  /** Takes more sequence numbers of the tick from the pool, if there is one: without one, there are no more. */
  #takeFromPool(count: number, now: number, grant: IdGrant): IdStatus {
    if (this.#pool !== undefined) {
      const lease = this.#leftOver();
      this.#pool.acquire(this.#tick, count, lease);
      if (lease.tick > this.#tick) return this.#follow(lease.tick, count, now, grant);
      if (lease.end > lease.first) {
        this.#sequence = lease.first;
        this.#endSequence = lease.end;
        return IdStatus.OK;
      }
      if (this.#tick >= this.#firstUnreservedTick) return this.#refuseUnreserved(this.#tick, grant);
      this.#isPoolUsedUp = true;
    }
    if (this.#sequence < this.#endSequence) return IdStatus.OK; // fewer than are wanted
    return this.#refuse(IdStatus.OUT_OF_IDS, this.#tick, this.#nextTickInMs(now), grant);
  }

  /** Whether more than what is left of what was taken from the pool is wanted. */
  #isShortOf(count: number): boolean {
    return this.#pool !== undefined && this.#endSequence - this.#sequence < count;
  }

  /** What is left of what was taken from the pool. */
  #leftOver(): SequenceLease {
    const lease = this.#lease;
    lease.tick = this.#tick;
    lease.first = this.#sequence;
    lease.end = this.#endSequence;
    return lease;
  }

  /** Goes where another generator has led the pool: its clock was read a moment later, or ours has stepped back since. */
  #follow(tick: number, count: number, now: number, grant: IdGrant): IdStatus {
    this.#enter(tick);
    this.#tickEndMs = -Infinity; // so that the next call looks at the tick anew
    const status = this.#moveTo(now, grant);
    return status === IdStatus.OK ? this.#takeFromPool(count, now, grant) : status;
  }

  /** The tick that serves as the clock's while that is behind: the last one used or, if time allows, the one after it. */
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

  get #firstUnreservedTick(): number {
    return this.#pool === undefined ? this.#mark : this.#pool.mark;
  }

  #refuseUnreserved(tick: number, grant: IdGrant): IdStatus {
    return this.#refuse(IdStatus.NOT_RESERVED, tick, NOT_RESERVED_RETRY_MS, grant);
  }

  #refuse(status: IdStatus, tick: number, waitMs: number, grant: IdGrant): IdStatus {
    grant.count = 0;
    grant.tick = tick;
    grant.retryAfterMs = status === IdStatus.OUT_OF_TIME ? 0 : waitMs > 1 ? Math.ceil(waitMs) : 1;
    return status;
  }

  #takeOrThrow(count: number): void {
    const status = this.tryRange(count, this.#grant);
    if (status !== IdStatus.OK) throw this.#errorOf(status);
  }

  #errorOf(status: IdStatus): GlobalIdError {
    const { tick, retryAfterMs } = this.#grant;
    switch (status) {
      case IdStatus.OUT_OF_IDS:
        return new OutOfIdsError(tick, retryAfterMs);
      case IdStatus.CLOCK_BEHIND:
        return new ClockError(tick, Math.max(this.#tick, 0), retryAfterMs);
      case IdStatus.NOT_RESERVED:
        return new NotReservedError(tick, this.#firstUnreservedTick, retryAfterMs, this.#trouble);
      default:
        return new OutOfTimeError(tick, this.layout.maxTick);
    }
  }
}

/**
 * The first id of a grant. V8 calculates with bigints in registers, and makes none on the way, where it can see that numbers
 * have 32 bits (`>>> 0`) and bigints 64 (`asUintN`).
 */
function idOf(grant: IdGrant): bigint {
  return BigInt.asUintN(64, BigInt(grant.firstHigh >>> 0) << 32n | BigInt(grant.firstLow >>> 0));
}

function checkClock(name: string, clock: Clock): void {
  if (typeof clock?.now !== "function") throw new TypeError(`${name} must have a method now(): got ${describe(clock)}`);
}
