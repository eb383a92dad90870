import { OutOfTimeError } from "../base/errors.ts";
import type { AttemptLog } from "./attempt_log.ts";
import { CheckedStore, type FoundRecord } from "./checked_store.ts";
import { ClockJumpError, LayoutMismatchError, OvertakenError } from "./errors.ts";
import { NOBODY, parseHolder } from "./holder_on_record.ts";
import type { HolderOptions } from "./holder_options.ts";
import { type FirstRecord, OwnRecord } from "./own_record.ts";
import type { Reservation } from "./reservation.ts";
import { LEAD_MS, SETTLE_MS, SHARED_RENEW_MS, SKEW_MS } from "./shared_store.ts";
import { StoreClock } from "./store_clock.ts";
import { StoreWatch } from "./store_watch.ts";
import { markWithin, tickAt } from "./tick_scale.ts";

/**
 * How far ahead of the clock a holder reserves, in ms. Ids go on for so long while the store is out of reach. A new
 * holder may have to wait for its clock for so long, if the holder before it could not give back its unused ticks.
 *
 * With a slow store, a holder adds twice the time that the slowest change of late took: so much may pass before a
 * change, and again before the next one. (On a machine whose CPUs were all busy, a flush took 4 to 6 s now and then.)
 */
export const AHEAD_MS = 3000;

/** The limit of how far ahead a holder reserves with a slow store, in ms. */
const AHEAD_LIMIT_MS = 60_000;

/** How much of the slowest change's time the holder remembers after each further change: half of it after 140. */
const SLOWNESS_DECAY = 0.995;

/**
 * How far a renewal reserves beyond the old mark, in ms, apart from the time since the last one on the monotonic clock:
 * so fast a running holder follows a clock that jumps ahead. A machine that was suspended for a night has ids again
 * after some 10 s; and a clock that shows a wrong year for 2 s costs the node two hours.
 */
const JUMP_MS = 3_600_000;

/** How often a holder is to be renewed, in ms, in a store of one machine. */
const RENEW_MS = 1000;

/** How soon after one that failed, in ms: a store that is shared is back when the first request gets through. */
const SHARED_RETRY_MS = 500;

/**
 * Holds a node: owns the ticks from `firstTick` to before `mark`. This holder has written all of them to the record,
 * and nobody else has: see {@linkcode OwnRecord}.
 *
 * In a store that machines share, a holder bounds its mark by the store's time (see `shared_store.ts`), and one that
 * cannot show that it continues the record owns nothing until the store's time has reached its first tick. So a record
 * that is missing, or older than it was, can be written again as long as the holder's reservation has not run out: if
 * another holder was there meanwhile, it owns nothing yet.
 */
export class ReservationHolder {
  /** The node. */
  readonly nodeId: number;

  readonly #options: HolderOptions;
  readonly #record: OwnRecord;
  /** The store's time, if machines share the store. */
  readonly #storeClock: StoreClock | undefined;
  readonly #watch: StoreWatch;
  /**
   * When the last renewal succeeded, on the monotonic clock, in ms; `undefined` before the first one of a holder that
   * goes on for another.
   */
  #renewedMs: number | undefined;
  /** How long the slowest change of late took, in ms. */
  #slowestMs = 0;
  #firstTick: number;
  /** Whether it owns nothing until the store's time has reached its first tick. */
  #isSettling = false;

  private constructor(options: HolderOptions, first: FirstRecord) {
    const { nodeId, clock, monotonicClock, warn = () => {} } = options;
    const store = CheckedStore.of(options.store);
    this.nodeId = nodeId;
    this.#options = options;
    this.#storeClock = store.isShared ? new StoreClock({ store, clock, monotonicClock }) : undefined;
    this.#record = new OwnRecord({ ...options, store, isOver: (mark) => this.#isOver(mark) }, first);
    this.#watch = new StoreWatch(store, this.#storeClock, warn);
    this.#firstTick = first.mark;
  }

  /**
   * Claims a node, whether it is held or not, and reserves its first ticks. The holder before keeps the ticks that it
   * had reserved, and can reserve no more.
   *
   * @param options The node, and how to hold it.
   * @returns The node's holder.
   * @throws {LayoutMismatchError} If the record was written with another layout.
   * @throws {NodeHeldError} If another holder claimed the node at the same moment.
   * @throws {ClockError} If the clock does not give a time.
   * @throws {OutOfTimeError} If the clock is past the layout's last tick.
   */
  static async claim(options: HolderOptions): Promise<ReservationHolder> {
    const found = await CheckedStore.of(options.store).read(options.nodeId);
    return await ReservationHolder.claimFrom(found, options);
  }

  /**
   * Claims a node, as `claim` does, if its record still is as it was found.
   *
   * @param found What was found on record; `undefined` if nothing was.
   * @param options The node, and how to hold it.
   * @param continuity Whether the caller can show that nobody has had the node since that record was written. Else, in
   * a store that machines share, the holder begins after all that an earlier one can have reserved.
   * @returns The node's holder.
   * @throws {LayoutMismatchError} If the record was written with another layout.
   * @throws {NodeHeldError} If another holder has claimed the node since.
   * @throws {ClockError} If the clock does not give a time.
   * @throws {ClockSkewError} If the clock and the store's time are too far apart.
   * @throws {OutOfTimeError} If the clock is past the layout's last tick.
   */
  static async claimFrom(
    found: FoundRecord | undefined,
    options: HolderOptions,
    { isContinued = false }: { readonly isContinued?: boolean } = {},
  ): Promise<ReservationHolder> {
    const { layout, clock, minTick = 0, trustStore = false } = options;
    if (found !== undefined) checkLayout(found.record, options);
    const nowTick = tickAt(clock.now(), layout);
    // With nothing on record, a generator without a store may have used part of the clock's tick.
    const firstTick = Math.max(found?.record.mark ?? nowTick + 1, minTick);
    const info = { ...options.info, since: new Date(clock.now()).toISOString() };
    const holder = new ReservationHolder({ ...options, info }, { found, replaced: found, mark: firstTick });
    await holder.#checkClock();
    if (holder.#storeClock !== undefined && !isContinued && !trustStore) await holder.#claimAndSettle();
    else await holder.#claimAtOnce();
    if (isContinued && !trustStore) await holder.#checkContinuity();
    return holder;
  }

  /**
   * Goes on in the place of a holder that has ended, for a caller who alone knows which ticks that holder used.
   *
   * @param found The record of that holder, whose attempt `options.attempts` has.
   * @param mark The mark that the store has acknowledged to that holder.
   * @param options The node, and how to hold it. The name is that of the holder on record, whatever is given.
   * @param ownership Whether that holder owned no tick yet, or no more: then a claim may still have to wait.
   * @returns The node's holder. It owns no ticks of its own until it renews.
   * @throws {LayoutMismatchError} If the record was written with another layout.
   */
  static resume(
    found: FoundRecord,
    mark: number,
    options: HolderOptions,
    { ownsNothing = false }: { readonly ownsNothing?: boolean } = {},
  ): ReservationHolder {
    const { record } = found;
    checkLayout(record, options);
    const info = { ...options.info, ...(record.info.since !== undefined && { since: record.info.since }) };
    const holder = new ReservationHolder({ ...options, info, name: parseHolder(record.holder).name }, { found, mark });
    holder.#isSettling = ownsNothing && holder.#storeClock !== undefined && !options.trustStore;
    return holder;
  }

  /** The first tick that this holder owns. */
  get firstTick(): number {
    return this.#firstTick;
  }

  /** The attempt by which this holder wrote the record. */
  get attempt(): string {
    return this.#record.attempt;
  }

  /** From now on, notes attempts in this log, which has the attempt on record already. No change must be under way. */
  noteIn(attempts: AttemptLog): void {
    this.#record.noteIn(attempts);
  }

  /** The first tick that this holder does not own. */
  get mark(): number {
    return this.#record.mark;
  }

  /** How far ahead of the clock it reserves now, in ms. */
  get aheadMs(): number {
    return this.#aheadTicks * this.#options.layout.tickMs;
  }

  /** When ids can be there, in ms since the Unix epoch, if it owns nothing until then; else `undefined`. */
  get settledAtMs(): number | undefined {
    const { epochMs, tickMs } = this.#options.layout;
    return this.#isSettling ? epochMs + this.#firstTick * tickMs : undefined;
  }

  /** After how many ms a renewal that succeeded is to be followed by the next one. */
  get renewAfterMs(): number {
    if (this.#storeClock === undefined) return RENEW_MS;
    const untilSettledMs = (this.settledAtMs ?? Infinity) - this.#storeClock.now();
    // Spread out, so that nodes that were started at once do not write at once for ever.
    const spreadMs = SHARED_RENEW_MS * (1 - Math.random() / 8);
    return Math.min(Math.max(untilSettledMs, 0), spreadMs);
  }

  /** After how many ms a renewal that failed is to be followed by the next one. */
  get retryAfterMs(): number {
    return this.#storeClock === undefined ? RENEW_MS : SHARED_RETRY_MS;
  }

  /**
   * Reserves more ticks, so that the mark is {@linkcode AHEAD_MS} or more past the clock and past the last tick used.
   * To be called again after {@linkcode ReservationHolder.renewAfterMs}. The record changes with every call, if only by
   * its beat and attempt: so others see that the holder is alive.
   *
   * @param usedTick The last tick used, which may be past the clock's. One that this holder does not own counts as the
   * last one that it owns: nobody can have used it, whoever says so.
   * @throws {NodeHeldError} If another holder has claimed the node.
   * @throws {ClockError} If the clock does not give a time.
   * @throws {OutOfTimeError} If the clock is past the layout's last tick. Nothing changes.
   * @throws {ClockJumpError} If the clock has jumped ahead. The holder has reserved a part of the way, as far as it
   * follows at a time.
   * @throws {unknown} What the store throws. The mark is then as it was. If the store made the change all the same, the
   * next call learns of it.
   */
  async renew(usedTick: number): Promise<void> {
    const { layout, clock, monotonicClock } = this.#options;
    const beganMs = monotonicClock.now();
    const wantedNow = () => {
      const lastTick = Math.max(tickAt(clock.now(), layout), Math.min(usedTick, this.mark - 1));
      return markWithin(lastTick + this.#aheadTicks, layout);
    };
    if (this.#storeClock !== undefined) await this.#updateStoreClock(wantedNow());
    const wanted = this.#bounded(wantedNow());
    const mark = Math.min(wanted, this.mark + this.#followedTicks(beganMs));
    try {
      await this.#record.change((before) => Math.max(mark, before));
    } finally {
      this.#slowestMs = Math.max(this.#slowestMs * SLOWNESS_DECAY, monotonicClock.now() - beganMs);
    }
    this.#renewedMs = beganMs;
    this.#watch.look();
    const jumpMs = (wanted - Math.max(mark, this.mark)) * layout.tickMs;
    if (jumpMs > 0) throw new ClockJumpError(jumpMs, Math.ceil(jumpMs / JUMP_MS) * RENEW_MS);
  }

  /**
   * Gives the node back, so that the next holder need not watch whether this one is still there. In the same change,
   * the mark comes down to the first unused tick, so that the next holder may begin there. (Not in a store that
   * machines share: the next holder begins later anyway, or goes on from this one's pool, whatever the mark.)
   *
   * @param firstUnusedTick The first tick from which on none is used, now and for ever. Left out: the caller does not
   * know, and the mark stays.
   * @throws {NodeHeldError} If another holder has claimed the node.
   * @throws {unknown} What the store throws.
   */
  async release(firstUnusedTick: number = Infinity): Promise<void> {
    const isLowered = this.#storeClock === undefined || this.#options.trustStore;
    await this.#record.change((before) => isLowered ? Math.min(before, firstUnusedTick) : before, NOBODY);
  }

  /** Claims the node, and owns ticks from the first one on. */
  async #claimAtOnce(): Promise<void> {
    const { layout, clock, monotonicClock, isBehindAllowed = false } = this.#options;
    const beganTick = Math.max(tickAt(clock.now(), layout), isBehindAllowed ? this.#firstTick : 0);
    const wanted = this.#bounded(markWithin(beganTick + this.#aheadTicks, layout));
    await this.#record.claim(Math.max(this.#firstTick, wanted));
    this.#renewedMs = monotonicClock.now();
  }

  /**
   * Claims the node, finds out when it has got it, and puts on record where it will begin: past all that others can
   * have reserved by that time. Whoever claims the node later begins later still.
   */
  async #claimAndSettle(): Promise<void> {
    const { layout, monotonicClock } = this.#options;
    await this.#record.claim(this.#firstTick);
    try {
      await this.#storeClock?.measure();
      this.#firstTick = Math.max(this.#firstTick, this.#storeTick(SETTLE_MS) + 1);
      if (this.#firstTick > layout.maxTick) throw new OutOfTimeError(this.#firstTick, layout.maxTick);
      await this.#record.claim(this.#firstTick);
    } catch (error) {
      await this.release().catch(() => {}); // or else the next claim would watch this one
      throw error;
    }
    this.#isSettling = true;
    this.#renewedMs = monotonicClock.now();
  }

  /**
   * Checks that the reservation that this holder continues was not over when it claimed the node, in a shared store.
   *
   * @throws {OvertakenError} If it was: another holder may have had the node meanwhile.
   */
  async #checkContinuity(): Promise<void> {
    if (this.#storeClock === undefined) return;
    await this.#storeClock.measure();
    if (this.#storeTick(SKEW_MS) < this.#record.replacedMark) return;
    await this.release();
    throw new OvertakenError(this.nodeId);
  }

  /** Asks a shared store for its time. A clock that disagrees gets no node. */
  async #checkClock(): Promise<void> {
    await this.#storeClock?.measure();
    if (this.#storeClock?.isOff) throw this.#storeClock.skewError;
  }

  /** Asks a shared store for its time if that was long ago, or may be wrong, as this mark shows that is wanted. */
  async #updateStoreClock(wanted: number): Promise<void> {
    await this.#storeClock?.refresh();
    // The machine may have been suspended, or its clock been put right, since the store was asked.
    if (wanted > this.#limit) await this.#storeClock?.measure();
    if (this.#isSettling) this.#isSettling = this.#storeTick(0) < this.#firstTick;
  }

  /** A mark no higher than a shared store's time allows. */
  #bounded(wanted: number): number {
    if (this.#storeClock === undefined) return wanted;
    return this.#isSettling ? this.#firstTick : Math.min(wanted, this.#limit);
  }

  /** The highest mark that a holder may write in a shared store now. */
  get #limit(): number {
    return this.#storeTick(LEAD_MS + SKEW_MS) + 1;
  }

  /** The tick of a time so much after a shared store's present one; no later than the one after the layout's last. */
  #storeTick(afterMs: number): number {
    const { epochMs, tickMs, maxTick } = this.#options.layout;
    const nowMs = this.#storeClock?.now() ?? NaN;
    return Math.min(Math.max(0, Math.floor((nowMs + afterMs - epochMs) / tickMs)), maxTick + 1);
  }

  /** Whether others may own ticks in a shared store from a mark on by now, if the store has gone back. */
  async #isOver(mark: number): Promise<boolean> {
    if (this.#storeClock === undefined) return false;
    await this.#storeClock.measure();
    return this.#storeTick(SKEW_MS) >= mark;
  }

  /** By how many ticks a renewal follows the clock at most. The store's own time needs no such bound. */
  #followedTicks(nowMs: number): number {
    if (this.#renewedMs === undefined || this.#storeClock?.isStores) return Infinity;
    return Math.ceil((nowMs - this.#renewedMs + JUMP_MS) / this.#options.layout.tickMs);
  }

  get #aheadTicks(): number {
    const { layout, aheadMs = AHEAD_MS } = this.#options;
    const leadMs = this.#storeClock === undefined ? Math.min(aheadMs + 2 * this.#slowestMs, AHEAD_LIMIT_MS) : LEAD_MS;
    return Math.ceil(leadMs / layout.tickMs) + 1;
  }
}

function checkLayout(found: Reservation, { nodeId, layout }: HolderOptions): void {
  if (!layout.isRecordedAs(found.layout)) throw new LayoutMismatchError(nodeId, found.layout, layout.key);
}
