import { ClockError } from "../base/errors.ts";
import { LayoutMismatchError, NodeHeldError } from "./errors.ts";
import type { Reservation, ReservationStore } from "./store.ts";

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
  /** A name that no other holder ever has. */
  readonly name: string;
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
 * Holds a node: owns the ticks from `firstTick` to before `mark`. This holder has written all of them to the record,
 * and nobody else has.
 *
 * Every change of the record names the record that it replaces. So once another holder has changed the record, all
 * changes of this holder fail, and its mark stays where it is; the ticks below the mark stay its own. If the reply to a
 * change got lost, the holder learns of that change with its next one: it finds its own name on record.
 */
export class ReservationHolder {
  /** The node. */
  readonly nodeId: number;
  /** The first tick that this holder owns. */
  readonly firstTick: number;

  readonly #options: HolderOptions;
  /** How long the slowest change of late took, in ms. */
  #slowestMs = 0;
  /** The record as this holder last read or wrote it. */
  #record: Reservation;

  private constructor(options: HolderOptions, firstTick: number, record: Reservation) {
    this.nodeId = options.nodeId;
    this.firstTick = firstTick;
    this.#options = options;
    this.#record = record;
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
   */
  static async claim(options: HolderOptions): Promise<ReservationHolder> {
    return await ReservationHolder.claimFrom(await options.store.read(options.nodeId), options);
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
   */
  static async claimFrom(found: Reservation | undefined, options: HolderOptions): Promise<ReservationHolder> {
    const { store, nodeId, layout, clock, name, isBehindAllowed = false, minTick = 0 } = options;
    if (found !== undefined) checkLayout(found, options);
    const nowTick = tickAt(clock.now(), layout);
    // With nothing on record, a generator without a store may have used part of the clock's tick.
    const firstTick = Math.max(found?.mark ?? nowTick + 1, minTick);
    const wanted = Math.max(nowTick, isBehindAllowed ? firstTick : 0) + aheadTicks(options);
    const record = { mark: Math.max(firstTick, within(wanted, layout)), holder: name, layout: layout.key };
    if (!await store.compareAndSet(nodeId, found, record)) {
      throw new NodeHeldError(`node ${nodeId} was taken by another holder at the same moment`);
    }
    return new ReservationHolder(options, firstTick, record);
  }

  /**
   * Goes on in the place of a holder that has ended, for a caller who alone knows which ticks that holder used.
   *
   * @param found The record of that holder.
   * @param options The node, and how to hold it. The name is that of the holder on record, whatever is given.
   * @returns The node's holder. It owns no ticks until it renews.
   * @throws {LayoutMismatchError} If the record was written with another layout.
   */
  static resume(found: Reservation, options: HolderOptions): ReservationHolder {
    checkLayout(found, options);
    return new ReservationHolder({ ...options, name: found.holder }, found.mark, found);
  }

  /** The first tick that this holder does not own. */
  get mark(): number {
    return this.#record.mark;
  }

  /** How far ahead of the clock it reserves now, in ms. */
  get aheadMs(): number {
    return aheadTicks(this.#options, this.#slowestMs) * this.#options.layout.tickMs;
  }

  /**
   * Reserves more ticks, so that the mark is {@linkcode AHEAD_MS} or more past the clock and past the last tick used.
   * The record changes only if its mark gets higher. To be called about once a second.
   *
   * @param usedTick The last tick used, which may be past the clock's.
   * @throws {NodeHeldError} If another holder has claimed the node.
   * @throws {ClockError} If the clock does not give a time.
   * @throws {unknown} What the store throws. The mark is then as it was. If the store made the change all the same, the
   * next call learns of it.
   */
  async renew(usedTick: number): Promise<void> {
    const { layout, clock, monotonicClock } = this.#options;
    const mark = within(
      Math.max(tickAt(clock.now(), layout), usedTick) + aheadTicks(this.#options, this.#slowestMs),
      layout,
    );
    if (mark <= this.#record.mark) return;
    const beganMs = monotonicClock.now();
    try {
      await this.#change((record) => mark > record.mark ? { mark, holder: record.holder, layout: layout.key } : record);
    } finally {
      this.#slowestMs = Math.max(this.#slowestMs * SLOWNESS_DECAY, monotonicClock.now() - beganMs);
    }
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
    const layout = this.#options.layout.key;
    await this.#change((record) => {
      const mark = Math.min(record.mark, firstUnusedTick);
      return { mark, holder: "", layout };
    });
  }

  /**
   * Replaces the record. If the store had made an earlier change of this holder without a reply, replaces that one.
   *
   * @param nextOf Makes the next record from the present one, or returns the present one if it is to stay.
   */
  async #change(nextOf: (record: Reservation) => Reservation): Promise<void> {
    const { store, nodeId, name } = this.#options;
    let next = nextOf(this.#record);
    if (!await store.compareAndSet(nodeId, this.#record, next)) {
      const found = await store.read(nodeId);
      if (found?.holder !== name) {
        throw new NodeHeldError(`node ${nodeId} was taken by another holder: there can be only one at a time`);
      }
      // The store has made an earlier change of this holder, whose reply got lost.
      this.#adopt(found);
      next = nextOf(found);
      if (next === found || !await store.compareAndSet(nodeId, found, next)) return;
    }
    this.#adopt(next);
  }

  /** Notes what is on record, unless the reply that says so was slower than that to a later change. */
  #adopt(record: Reservation): void {
    if (record.mark >= this.#record.mark) this.#record = record;
  }
}

function checkLayout(found: Reservation, { nodeId, layout }: HolderOptions): void {
  if (!layout.isRecordedAs(found.layout)) throw new LayoutMismatchError(nodeId, found.layout, layout.key);
}

function aheadTicks({ layout, aheadMs = AHEAD_MS }: HolderOptions, slowestMs = 0): number {
  return Math.ceil(Math.min(aheadMs + 2 * slowestMs, AHEAD_LIMIT_MS) / layout.tickMs) + 1;
}

/** The tick of a time; the first one for a time before it. */
function tickAt(nowMs: number, { epochMs, tickMs }: TickScale): number {
  if (!Number.isFinite(nowMs)) throw new ClockError(NaN, 0, tickMs);
  return Math.max(0, Math.floor((nowMs - epochMs) / tickMs));
}

/** A mark no further than past the layout's last tick. */
function within(mark: number, { maxTick }: TickScale): number {
  return Math.min(mark, maxTick + 1);
}
