import { ClockError, OutOfTimeError } from "../base/errors.ts";
import { type FillRandom, uniqueToken } from "../base/unique_token.ts";
import { type AttemptLog, MemoryAttemptLog } from "./attempt_log.ts";
import { ClockJumpError, LayoutMismatchError, NodeHeldError } from "./errors.ts";
import { formatHolder, parseHolder } from "./holder_on_record.ts";
import { readOwn } from "./read_own.ts";
import { CheckedStore, type FoundRecord } from "./checked_store.ts";
import type { HolderInfo, Reservation } from "./reservation.ts";
import type { ReservationStore } from "./store.ts";

/** The part of a layout that a reservation depends on. */
export interface TickScale {
  /** Length of a tick in ms. */
  readonly tickMs: number;
  /** When tick 0 begins, in ms since the Unix epoch. */
  readonly epochMs: number;
  /** The last tick. */
  readonly maxTick: number;
  /** The layout as it is put on record. */
  readonly key: string;
  /** Whether what is on record means this layout. */
  isRecordedAs(text: string): boolean;
}

/** Options for {@linkcode ReservationHolder}. */
export interface HolderOptions {
  /** Where reservations are kept. */
  readonly store: ReservationStore;
  /** The node to hold. */
  readonly nodeId: number;
  /** The layout in whose ticks the holder reserves. */
  readonly layout: TickScale;
  /** Tells the time, in ms since the Unix epoch. */
  readonly clock: { now(): number };
  /** A clock that never steps, to time the store with, in ms; its zero may be anywhere. */
  readonly monotonicClock: { now(): number };
  /** A name that no other holder ever has, without a slash. */
  readonly name: string;
  /**
   * Where the holder notes its attempts to write the record.
   *
   * @default {new MemoryAttemptLog()}
   */
  readonly attempts?: AttemptLog;
  /**
   * Where the random bytes of an attempt come from: see `uniqueToken`.
   *
   * @default {crypto.getRandomValues}
   */
  readonly fillRandom?: FillRandom;
  /**
   * Who the holder is, for people.
   *
   * @default {{}}
   */
  readonly info?: HolderInfo;
  /**
   * Whether a claim reserves ticks past the mark although the clock is behind the mark (the policy `logical`).
   *
   * @default {false}
   */
  readonly isBehindAllowed?: boolean;
  /**
   * How far ahead of the clock the holder reserves, in ms.
   *
   * @default {AHEAD_MS}
   */
  readonly aheadMs?: number;
  /**
   * The first tick that a claim may reserve: all ticks before it are known to be spoken for, even if the store has
   * forgotten that.
   *
   * @default {0}
   */
  readonly minTick?: number;
}

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

/** The holder on record of a node that was given back. */
const RELEASE = "";

/** How often a holder is to be renewed, in ms. */
export const RENEW_MS = 1000;

/**
 * Holds a node: owns the ticks from `firstTick` to before `mark`. This holder has written all of them to the record,
 * and nobody else has.
 *
 * Every change of the record names the record that it replaces. So once another holder has changed the record, all
 * changes of this holder fail, and its mark stays where it is; the ticks below the mark stay its own. If the reply to a
 * change got lost, the holder learns of that change with its next one: it finds an attempt on record that it has noted.
 *
 * A copy of this process's memory has this holder's name, but notes attempts of its own. So one of the two changes the
 * record first, and the other loses the node.
 */
export class ReservationHolder {
  /** The node. */
  readonly nodeId: number;
  /** The first tick that this holder owns. */
  readonly firstTick: number;

  readonly #options: HolderOptions;
  readonly #store: CheckedStore;
  #attempts: AttemptLog;
  /**
   * When the last renewal succeeded, on the monotonic clock, in ms; `undefined` before the first one of a holder that
   * goes on for another.
   */
  #renewedMs: number | undefined;
  /** How long the slowest change of late took, in ms. */
  #slowestMs = 0;
  /** The record as this holder last read or wrote it. */
  #found: FoundRecord | undefined;
  /** The first tick that this holder does not own. */
  #mark: number;

  private constructor(options: HolderOptions, firstTick: number, found: FoundRecord | undefined) {
    this.nodeId = options.nodeId;
    this.firstTick = firstTick;
    this.#options = options;
    this.#store = CheckedStore.of(options.store);
    this.#attempts = options.attempts ?? new MemoryAttemptLog();
    this.#found = found;
    this.#mark = found?.record.mark ?? firstTick;
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
   * @returns The node's holder.
   * @throws {LayoutMismatchError} If the record was written with another layout.
   * @throws {NodeHeldError} If another holder has claimed the node since.
   * @throws {ClockError} If the clock does not give a time.
   * @throws {OutOfTimeError} If the clock is past the layout's last tick.
   */
  static async claimFrom(found: FoundRecord | undefined, options: HolderOptions): Promise<ReservationHolder> {
    const { layout, clock, monotonicClock, isBehindAllowed = false, minTick = 0 } = options;
    if (found !== undefined) checkLayout(found.record, options);
    const nowTick = tickAt(clock.now(), layout);
    // With nothing on record, a generator without a store may have used part of the clock's tick.
    const firstTick = Math.max(found?.record.mark ?? nowTick + 1, minTick);
    const wanted = Math.max(nowTick, isBehindAllowed ? firstTick : 0) + aheadTicks(options);
    const mark = Math.max(firstTick, within(wanted, layout));
    const holder = new ReservationHolder(options, firstTick, found);
    if (!await holder.#tryToChange(() => mark)) {
      throw new NodeHeldError(`node ${options.nodeId} was taken by another holder at the same moment`);
    }
    holder.#renewedMs = monotonicClock.now();
    return holder;
  }

  /**
   * Goes on in the place of a holder that has ended, for a caller who alone knows which ticks that holder used.
   *
   * @param found The record of that holder, whose attempt `options.attempts` has.
   * @param options The node, and how to hold it. The name is that of the holder on record, whatever is given.
   * @returns The node's holder. It owns no ticks until it renews.
   * @throws {LayoutMismatchError} If the record was written with another layout.
   */
  static resume(found: FoundRecord, options: HolderOptions): ReservationHolder {
    const { record } = found;
    checkLayout(record, options);
    return new ReservationHolder({ ...options, name: parseHolder(record.holder).name }, record.mark, found);
  }

  /** The attempt by which this holder wrote the record. */
  get attempt(): string {
    return parseHolder(this.#found?.record.holder ?? "").attempt;
  }

  /** From now on, notes attempts in this log, which has the attempt on record already. No change must be under way. */
  noteIn(attempts: AttemptLog): void {
    this.#attempts = attempts;
  }

  /** The first tick that this holder does not own. */
  get mark(): number {
    return this.#mark;
  }

  /** How far ahead of the clock it reserves now, in ms. */
  get aheadMs(): number {
    return aheadTicks(this.#options, this.#slowestMs) * this.#options.layout.tickMs;
  }

  /**
   * Reserves more ticks, so that the mark is {@linkcode AHEAD_MS} or more past the clock and past the last tick used.
   * To be called every {@linkcode RENEW_MS}. The record changes with every call, if only by its attempt: so others see
   * that the holder is alive.
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
    const nowTick = tickAt(clock.now(), layout);
    const lastTick = Math.max(nowTick, Math.min(usedTick, this.mark - 1));
    const wanted = within(lastTick + aheadTicks(this.#options, this.#slowestMs), layout);
    const beganMs = monotonicClock.now();
    const passedMs = beganMs - (this.#renewedMs ?? -Infinity);
    const mark = Math.min(wanted, this.mark + Math.ceil((passedMs + JUMP_MS) / layout.tickMs));
    try {
      await this.#change((before) => Math.max(mark, before));
    } finally {
      this.#slowestMs = Math.max(this.#slowestMs * SLOWNESS_DECAY, monotonicClock.now() - beganMs);
    }
    this.#renewedMs = beganMs;
    const jumpMs = (wanted - Math.max(mark, this.mark)) * layout.tickMs;
    if (jumpMs > 0) throw new ClockJumpError(jumpMs, Math.ceil(jumpMs / JUMP_MS) * RENEW_MS);
  }

  /**
   * Gives the node back, so that the next holder need not watch whether this one is still there. In the same change,
   * the mark comes down to the first unused tick, so that the next holder may begin there.
   *
   * @param firstUnusedTick The first tick from which on none is used, now and for ever. Left out: the caller does not
   * know, and the mark stays.
   * @throws {NodeHeldError} If another holder has claimed the node.
   * @throws {unknown} What the store throws.
   */
  async release(firstUnusedTick: number = Infinity): Promise<void> {
    await this.#change((before) => Math.min(before, firstUnusedTick), RELEASE);
  }

  /**
   * Replaces the record. If the store had made an earlier change of this holder without a reply, replaces that one.
   *
   * @param markOf Makes the next mark from the present one.
   * @param release Whether the node is given back.
   */
  async #change(markOf: (before: number) => number, release?: typeof RELEASE): Promise<void> {
    if (this.#attempts.isFull) {
      await this.#adoptOwn();
      this.#attempts.keepOnly(this.attempt);
    }
    if (await this.#tryToChange(markOf, release)) return;
    await this.#adoptOwn();
    await this.#tryToChange(markOf, release);
  }

  /** Replaces the record if it is as this holder knows it, and returns whether it was. */
  async #tryToChange(markOf: (before: number) => number, release?: typeof RELEASE): Promise<boolean> {
    const { nodeId, name, fillRandom, layout, info = {} } = this.#options;
    const expected = this.#found;
    const attempt = uniqueToken(fillRandom);
    const next: Reservation = {
      mark: markOf(this.#mark),
      beat: (expected?.record.beat ?? 0) + 1,
      holder: release ?? formatHolder({ name, attempt }),
      layout: layout.key,
      info,
    };
    this.#attempts.note(attempt);
    const made = await this.#store.compareAndSet(nodeId, expected, next);
    if (made === undefined) {
      this.#attempts.forget(attempt);
      return false;
    }
    this.#attempts.settle(attempt);
    this.#adopt(made);
    return true;
  }

  /** Adopts the record as it is now, which an earlier change of this holder may have made whose reply got lost. */
  async #adoptOwn(): Promise<void> {
    const { nodeId } = this.#options;
    const found = await readOwn(this.#store, nodeId, (record) => this.#isOwn(record));
    if (found === undefined) {
      throw new NodeHeldError(`node ${nodeId} was taken by another holder: there can be only one at a time`);
    }
    this.#attempts.settle(parseHolder(found.record.holder).attempt);
    this.#adopt(found);
  }

  #isOwn(record: Reservation): boolean {
    const { name, attempt } = parseHolder(record.holder);
    return name === this.#options.name && this.#attempts.has(attempt);
  }

  /** Notes what is on record, unless the reply that says so was slower than that to a later change. */
  #adopt(found: FoundRecord): void {
    if (this.#found !== undefined && found.record.beat <= this.#found.record.beat) return;
    this.#found = found;
    this.#mark = found.record.mark;
  }
}

function checkLayout(found: Reservation, { nodeId, layout }: HolderOptions): void {
  if (!layout.isRecordedAs(found.layout)) throw new LayoutMismatchError(nodeId, found.layout, layout.key);
}

function aheadTicks({ layout, aheadMs = AHEAD_MS }: HolderOptions, slowestMs = 0): number {
  return Math.ceil(Math.min(aheadMs + 2 * slowestMs, AHEAD_LIMIT_MS) / layout.tickMs) + 1;
}

/**
 * The tick of a time; the first one for a time before it. A time past the last one is nothing to reserve for: a clock
 * that is put right could never use the node again.
 */
function tickAt(nowMs: number, { epochMs, tickMs, maxTick }: TickScale): number {
  if (!Number.isFinite(nowMs)) throw new ClockError(NaN, 0, tickMs);
  const tick = Math.floor((nowMs - epochMs) / tickMs);
  if (tick > maxTick) throw new OutOfTimeError(tick, maxTick);
  return Math.max(0, tick);
}

/** A mark no further than past the layout's last tick. */
function within(mark: number, { maxTick }: TickScale): number {
  return Math.min(mark, maxTick + 1);
}
