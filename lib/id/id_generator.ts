import { checkInteger, describe } from "../base/check.ts";
import { ClockError, ClosedError, type GlobalIdError, OutOfTimeError, RetryableError } from "../base/errors.ts";
import { sleep } from "../base/sleep.ts";
import { unlessClosed } from "../base/unless_closed.ts";
import { uniqueToken } from "../base/unique_token.ts";
import { claimNode } from "../reservation/claim.ts";
import { ReservationKeeper } from "../reservation/keeper.ts";
import { NotReservedError, OutOfIdsError } from "./errors.ts";
import type { IdGeneratorOpenOptions, IdGeneratorOptions, IdWaitOptions } from "./id_generator_options.ts";
import { IdGrant, IdStatus } from "./id_grant.ts";
import { IdRange } from "./id_range.ts";
import { IdSequencer, MAX_COUNT } from "./id_sequencer.ts";
import { checkSettings, type IdSettings } from "./id_sequencer_options.ts";
import type { IdLayout } from "./layout.ts";

const DAY_MS = 86_400_000;

/** The longest wait before the clock is read again, in ms: a clock that was behind may have been put right. */
const MAX_WAIT_MS = 1000;

/**
 * Gives out ids that ascend and are never given out twice.
 *
 * A node can be split into subnodes that need not know of each other: subnode i of n only ever uses the sequence
 * numbers s with s % n = i. With more subnodes than sequence numbers, those past the end have no ids at all.
 *
 * The rules, in the order in which every call checks them:
 *
 * 1. The clock is behind the layout's epoch: `ClockError`. 2. The clock's tick is lower than the last tick used:
 * `ClockError`. With the policy `"logical"`, the last tick used or the one after it serves as the clock's. A step back
 * within a tick does no harm, since tick and sequence number together still only grow. 3. The clock's tick does not fit
 * the layout's time bits: `OutOfTimeError`. The tick is not reserved: `NotReservedError`. 4. The sequence numbers of
 * the tick are used up: `OutOfIdsError`. 5. The tick before the first one reserved counts as used up. Without a
 * reservation, that is the tick in which the generator was made, since an earlier process with the same node id may
 * have used part of it. With 1 s ticks, the first id is there within a second.
 *
 * A call that fails changes nothing that a later call depends on.
 *
 * **These rules do not cover**, without a store, two faults that a process cannot notice by itself: two generators that
 * run with the same node and subnode at the same time, and a clock that was set back while no process was running.
 * {@linkcode IdGenerator.open} covers both, with a store that remembers.
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
export class IdGenerator implements AsyncDisposable, AsyncIterable<bigint> {
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

  readonly #sequencer: IdSequencer;
  readonly #grant = new IdGrant();
  /** Renews the reservation, if the generator was opened with a store. */
  #keeper: ReservationKeeper | undefined;
  /** Why the reservation could not be renewed when that was last tried, if it could not. */
  #trouble: unknown;
  /** Settled once the generator has given back what it held; `undefined` until it is closed. */
  #closing: Promise<void> | undefined;

  /**
   * Makes a generator. It has no ids for the tick that the clock is in now (rule 5).
   *
   * @param options The node, and how it differs from the defaults.
   * @throws {TypeError} If an option is of the wrong type.
   * @throws {RangeError} If a number is out of its range.
   * @throws {ClockError} If the clock does not give a time, or is more than a day behind the layout's epoch.
   * @throws {OutOfTimeError} If the clock is past the layout's last tick.
   */
  constructor(options: IdGeneratorOptions) {
    checkTime(checkSettings(options));
    this.#sequencer = new IdSequencer(options);
    this.layout = this.#sequencer.layout;
    this.nodeId = this.#sequencer.nodeId;
    this.subnodeId = this.#sequencer.subnodeId;
    this.subnodeCount = this.#sequencer.subnodeCount;
    this.step = this.#sequencer.step;
  }

  /**
   * Makes a generator whose ids a store keeps apart from all others': from those of earlier processes, of other
   * replicas, and of a process that was thought dead and is not, whatever their clocks say. The generator holds its
   * node until it is closed, and renews its reservation in the background. While the store is out of reach, ids go on
   * for about 3 s (8 s with a store that machines share), and again as soon as the store is back.
   *
   * On a node that was never held, or whose generator was closed, the first id is there with the next tick. If a node's
   * holder has not given it back, this call watches for 6 s whether that holder is gone. The first id is then there
   * once the clock is past the ticks that the holder had reserved, which it mostly is by then. (With the policy
   * `"logical"`, the first id is there at once.)
   *
   * With a store that machines share (see `ReservationStore.isLocal`), the first id is there after 14 s: the store may
   * have gone back, to a backup or to a server that lagged, and by then, all is over that an earlier holder can have
   * reserved. The option `trustStore` forgoes that.
   *
   * @param options The store, and how the generator differs from the defaults.
   * @returns The generator, which is to be closed, best with `await using`.
   * @throws {TypeError | RangeError} If an option is wrong.
   * @throws {NodeHeldError} If the node is held, or all nodes are.
   * @throws {LayoutMismatchError} If the node is on record with another layout.
   * @throws {ClockSkewError} If the clock and a shared store's time are more than 2 s apart.
   * @throws {ClockError} If the clock does not give a time, or is more than a day behind the layout's epoch.
   * @throws {OutOfTimeError} If the clock is past the layout's last tick.
   * @throws {StoreError} If the store returns what no store may return.
   * @throws {unknown} What the store throws, or the signal's reason.
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
    const { store, nodeId, onError, signal } = options;
    const settings = checkSettings(options);
    const { layout, clock, clockPolicy, monotonicClock } = settings;
    if (nodeId !== undefined) checkInteger("nodeId", nodeId, 0, layout.maxNodeId);
    checkTime(settings);
    const holder = await claimNode({
      ...{ store, nodeId, layout, clock, monotonicClock, maxNodeId: layout.maxNodeId, name: uniqueToken() },
      isBehindAllowed: clockPolicy === "logical",
      trustStore: options.trustStore ?? false,
      warn: (warning) => onError?.(warning),
      sleep: (ms) => sleep(ms, signal),
      signal,
    });
    // The sequencer takes the reservation from here. Users cannot give one: it would come from no store.
    const reservation = { firstTick: holder.firstTick, mark: holder.mark };
    const reserved = { ...settings, nodeId: holder.nodeId, reservation };
    const ids = new IdGenerator(reserved);
    ids.#keeper = new ReservationKeeper(holder, {
      usedTick: () => ids.lastTick,
      onMark: (mark) => {
        ids.#trouble = undefined;
        ids.#sequencer.extendReservation(mark);
      },
      onError: (error) => {
        ids.#trouble = error;
        onError?.(error);
      },
    });
    return ids;
  }

  /** The last tick used, or that counts as used up (rule 5): -1 if that is before the first one. */
  get lastTick(): number {
    return this.#sequencer.lastTick;
  }

  /** How far the beginning of the last tick used is ahead of the clock, in ms; 0 if it is not. */
  get aheadMs(): number {
    return this.#sequencer.aheadMs;
  }

  /**
   * Ends the generator: from now on, it throws a `ClosedError` instead of giving out ids. One that was opened with a
   * store gives back its node and the ticks that it has not used, so that another may have both at once. If the store
   * does not answer within 2 s, the generator gives back nothing, and the next holder of the node has to wait.
   */
  close(): Promise<void> {
    this.#closing ??= this.#end();
    return this.#closing;
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
   * @throws {ClosedError} If the generator is closed.
   */
  nextId(): bigint {
    this.#takeOrThrow(1);
    return idOf(this.#grant);
  }

  /**
   * Gives out one id, as soon as there is one. It waits for what passes: a tick that is used up, a clock that is
   * behind, a reservation that cannot be renewed. Where `nextId` throws an error that says when to retry, this does so.
   *
   * @param options How to give up. Without a signal, it waits for as long as it takes: for ever, in a subnode that has
   * no ids.
   * @returns The id, higher than all before it.
   * @throws {OutOfTimeError} If the clock is past the layout's last tick.
   * @throws {ClosedError} If the generator is closed; up to a second after it was closed while this waits.
   * @throws {unknown} The signal's reason, once it is aborted.
   *
   * @example The first id, which is there within a second
   * ```ts
   * import { IdGenerator } from "@global-id/global-id";
   *
   * const ids = new IdGenerator({ nodeId: 7 });
   * console.log(await ids.waitForId({ signal: AbortSignal.timeout(5000) }));
   * ```
   */
  async waitForId(options?: IdWaitOptions): Promise<bigint> {
    const signal = options?.signal;
    while (true) {
      signal?.throwIfAborted();
      const status = this.#sequencer.tryRange(1, this.#grant);
      if (status === IdStatus.OK) return idOf(this.#grant);
      const error = this.#errorOf(status);
      if (!(error instanceof RetryableError)) throw error;
      await sleep(Math.min(error.retryAfterMs, MAX_WAIT_MS), signal);
    }
  }

  /**
   * Gives out ids one after the other, as `waitForId` does, until the loop is left or the generator is closed.
   *
   * @example Three ids
   * ```ts
   * import { IdGenerator } from "@global-id/global-id";
   *
   * const ids = new IdGenerator({ nodeId: 7 });
   * const orders: { id: bigint }[] = [];
   * for await (const id of ids) {
   *   if (orders.push({ id }) === 3) break;
   * }
   * ```
   */
  async *[Symbol.asyncIterator](): AsyncGenerator<bigint, void, undefined> {
    while (this.#closing === undefined) {
      const id = await unlessClosed(this.waitForId());
      if (id !== undefined) yield id;
    }
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
   * @throws {ClosedError} If the generator is closed.
   *
   * @example An id that is exact as a number
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
   * @throws {ClosedError} If the generator is closed.
   */
  nextRange(count: number): IdRange {
    this.#takeOrThrow(count);
    return new IdRange(idOf(this.#grant), this.step, this.#grant.count);
  }

  /**
   * Fills an array with ids from its beginning, as far as the current tick goes. The call makes no garbage.
   *
   * @param target Where the ids go. The elements past the last id written stay as they were.
   * @returns How many were written: 0 if the tick's ids are used up.
   * @throws {TypeError} If the target is not a `BigUint64Array`.
   * @throws {ClockError} If the clock is behind the last tick used, or behind the layout's epoch.
   * @throws {OutOfTimeError} If the clock is past the layout's last tick.
   * @throws {NotReservedError} If the clock's tick is not reserved.
   * @throws {ClosedError} If the generator is closed.
   *
   * @example All ids of a tick
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
    const status = this.#sequencer.tryRange(Math.min(target.length, MAX_COUNT), grant);
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
   * Gives out ids of one tick, for hot paths: the call throws nothing that depends on the clock, and allocates nothing.
   *
   * @param count How many are wanted, 1 to 2^32 - 1.
   * @param grant Where the answer goes: up to `count` ids, at least 1, or after how many ms to try again.
   * @returns `IdStatus.OK`, or why there are none.
   * @throws {TypeError | RangeError} If the count is not such an integer.
   * @throws {ClosedError} If the generator is closed.
   *
   * @example None, and then ten
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
    const status = this.#sequencer.tryRange(count, grant);
    if (status !== IdStatus.OK && this.#closing !== undefined) throw new ClosedError("the generator");
    return status;
  }

  async #end(): Promise<void> {
    this.#sequencer.close(); // before anything is given back: another may use it from then on
    await this.#keeper?.release(this.lastTick + 1);
  }

  #takeOrThrow(count: number): void {
    const status = this.#sequencer.tryRange(count, this.#grant);
    if (status !== IdStatus.OK) throw this.#errorOf(status);
  }

  #errorOf(status: IdStatus): GlobalIdError {
    if (this.#closing !== undefined) return new ClosedError("the generator");
    const { tick, retryAfterMs } = this.#grant;
    switch (status) {
      case IdStatus.OUT_OF_IDS:
        return new OutOfIdsError(tick, retryAfterMs);
      case IdStatus.CLOCK_BEHIND:
        return new ClockError(tick, Math.max(this.lastTick, 0), retryAfterMs);
      case IdStatus.NOT_RESERVED:
        return new NotReservedError(tick, this.#sequencer.mark, retryAfterMs, this.#trouble);
      default:
        return new OutOfTimeError(tick, this.layout.maxTick);
    }
  }
}

/**
 * The first id of a grant. V8 calculates with bigints in registers, and makes none on the way, where it can see that
 * numbers have 32 bits (`>>> 0`) and bigints 64 (`asUintN`).
 */
function idOf(grant: IdGrant): bigint {
  return BigInt.asUintN(64, BigInt(grant.firstHigh >>> 0) << 32n | BigInt(grant.firstLow >>> 0));
}

/**
 * Checks that the layout has ids for the time of the clock, or will have them within a day. An epoch of a wrong year
 * shows up here, and not with the first id.
 */
function checkTime({ layout, clock }: IdSettings): void {
  const nowMs = clock.now();
  const tick = Math.floor((nowMs - layout.epochMs) / layout.tickMs);
  if (!(nowMs >= layout.epochMs - DAY_MS)) {
    throw new ClockError(tick, 0, Math.max(1, Math.ceil(layout.epochMs - nowMs)));
  }
  if (tick > layout.maxTick) throw new OutOfTimeError(tick, layout.maxTick);
}
