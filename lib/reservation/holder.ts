import { ClockError } from "../base/errors.ts";
import { LayoutMismatchError, NodeHeldError } from "./errors.ts";
import type { Reservation, ReservationStore } from "./store.ts";

/** What a tick is: as much of a layout as a reservation needs. */
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

/** What a {@linkcode ReservationHolder} is made from. */
export interface HolderOptions {
  /** Where reservations are kept. */
  readonly store: ReservationStore;
  /** The node to hold. */
  readonly nodeId: number;
  /** The layout whose ticks are reserved. */
  readonly layout: TickScale;
  /** What the time is read from, in ms since the Unix epoch. */
  readonly clock: { now(): number };
  /** A clock that never steps, to time the store with, in ms; its zero may be anywhere. */
  readonly monotonicClock: { now(): number };
  /** A name that no other holder ever has. */
  readonly name: string;
  /** How far ahead of the clock ticks are reserved, in ms. Default: {@linkcode AHEAD_MS}. */
  readonly aheadMs?: number;
  /** Ticks before this one are known to be spoken for, even if the store has forgotten it. Default: 0. */
  readonly minTick?: number;
}

/**
 * How far ahead of the clock ticks are reserved, in ms. For so long, ids go on while the store is out of reach; and for
 * so long, a new holder may have to wait for its clock where the one before could not give back what it did not use.
 * With a slow store, it is more by twice the time that its slowest change of late took, since that may pass before a
 * change, and again before the next one. (On a machine whose CPUs were all busy, flushing one took 4 to 6 s now and
 * then.)
 */
export const AHEAD_MS = 3000;

/** But no further than this, in ms: for so long, a new holder may have to wait. */
const MAX_AHEAD_MS = 60_000;

/** How much of the slowest change's time is remembered after a further one: half of it after 140. */
const MEMORY = 0.995;

/**
 * Holds a node: owns the ticks from `firstTick` to before `mark`, all of them written by this holder and by nobody
 * else.
 *
 * Every change of the record names the record that it replaces. So once another holder has written to it, this one's
 * changes fail, and its mark stays where it is; what lies below stays its own. A change whose reply got lost is found
 * out at the next one: if what is on record has this holder's name, it wrote it.
 */
export class ReservationHolder {
  /** The node. */
  readonly nodeId: number;
  /** The first tick that this holder owns. */
  readonly firstTick: number;

  readonly #options: HolderOptions;
  /** How long the slowest change of late took, in ms. */
  #slowestMs = 0;
  /** What this holder knows to be on record, or to have been there after its last change. */
  #record: Reservation;

  private constructor(options: HolderOptions, firstTick: number, record: Reservation) {
    this.nodeId = options.nodeId;
    this.firstTick = firstTick;
    this.#options = options;
    this.#record = record;
  }

  /**
   * Takes a node, from whoever held it, and reserves its first ticks. Whoever held it keeps what it had reserved, and
   * can reserve no more.
   *
   * @param options The node, the store, the layout, the clock.
   * @param isBehindAllowed Whether to reserve ticks past the mark although the clock is behind it (the policy
   * `logical`).
   * @throws {LayoutMismatchError} If what is on record was written with another layout.
   * @throws {NodeHeldError} If another holder took it at the same moment.
   */
  static async claim(options: HolderOptions, isBehindAllowed: boolean): Promise<ReservationHolder> {
    return await ReservationHolder.claimFrom(await options.store.read(options.nodeId), options, isBehindAllowed);
  }

  /**
   * The same, if what was found on record is still there.
   *
   * @param found What was found; `undefined` if nothing was.
   * @param options The node, the store, the layout, the clock.
   * @param isBehindAllowed Whether to reserve ticks past the mark although the clock is behind it (the policy
   * `logical`).
   * @throws {LayoutMismatchError} If what is on record was written with another layout.
   * @throws {NodeHeldError} If another holder has taken it since.
   */
  static async claimFrom(
    found: Reservation | undefined,
    options: HolderOptions,
    isBehindAllowed: boolean,
  ): Promise<ReservationHolder> {
    const { store, nodeId, layout, clock, name, minTick = 0 } = options;
    if (found !== undefined) checkLayout(found, options);
    const nowTick = tickAt(clock.now(), layout);
    // With nothing on record, a generator without store may have used part of the tick that the clock is in.
    const firstTick = Math.max(found?.mark ?? nowTick + 1, minTick);
    const wanted = Math.max(nowTick, isBehindAllowed ? firstTick : 0) + aheadTicks(options);
    const record = { mark: Math.max(firstTick, within(wanted, layout)), holder: name, layout: layout.key };
    if (!await store.compareAndSet(nodeId, found, record)) {
      throw new NodeHeldError(`node ${nodeId} was taken by another holder at the same moment`);
    }
    return new ReservationHolder(options, firstTick, record);
  }

  /**
   * Goes on in the place of a holder that is no more, and that nobody else can go on for: whoever knows exactly what
   * that one used.
   *
   * @param found What is on record: that holder's.
   * @param options The node, the store, the layout, the clock. The name is that holder's, whatever is given.
   * @throws {LayoutMismatchError} If what is on record was written with another layout.
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
   * Reserves on, so that the mark is {@linkcode AHEAD_MS} or more past the clock and past the last tick used. Changes
   * the record only if that takes a higher mark; to be called every second or so.
   *
   * @param usedTick The last tick used, which may be past the clock's.
   * @throws {NodeHeldError} If another holder has taken the node.
   * @throws {unknown} What the store throws. The mark is then as it was, and the next call finds out what became of it.
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
      this.#slowestMs = Math.max(this.#slowestMs * MEMORY, monotonicClock.now() - beganMs);
    }
  }

  /**
   * Gives the node back, so that the next holder need not wait to see whether this one is still there; and with it the
   * ticks that nobody used nor ever will, so that it may begin with them: the mark comes down to the first of them, in
   * the same change.
   *
   * @param firstUnusedTick The first tick from which on it is certain that none is used, now and from now on. Left out:
   * nothing is certain, and the mark stays.
   * @throws {NodeHeldError} If another holder has taken the node.
   */
  async release(firstUnusedTick: number = Infinity): Promise<void> {
    const layout = this.#options.layout.key;
    await this.#change((record) => {
      const mark = Math.min(record.mark, firstUnusedTick);
      return { mark, holder: "", layout };
    });
  }

  /**
   * Replaces the record; if an earlier change of this holder's turns out to have been made, replaces that.
   *
   * @param nextOf What a record is to become; the same if it is to stay.
   */
  async #change(nextOf: (record: Reservation) => Reservation): Promise<void> {
    const { store, nodeId, name } = this.#options;
    let next = nextOf(this.#record);
    if (!await store.compareAndSet(nodeId, this.#record, next)) {
      const found = await store.read(nodeId);
      if (found?.holder !== name) {
        throw new NodeHeldError(`node ${nodeId} was taken by another holder: there can be only one at a time`);
      }
      // It is an earlier change of this holder's, whose reply got lost.
      this.#adopt(found);
      next = nextOf(found);
      if (next === found || !await store.compareAndSet(nodeId, found, next)) return;
    }
    this.#adopt(next);
  }

  /** Takes note of what is on record now; unless that is older news, from a reply that was slower than a later one. */
  #adopt(record: Reservation): void {
    if (record.mark >= this.#record.mark) this.#record = record;
  }
}

function checkLayout(found: Reservation, { nodeId, layout }: HolderOptions): void {
  if (!layout.isRecordedAs(found.layout)) throw new LayoutMismatchError(nodeId, found.layout, layout.key);
}

function aheadTicks({ layout, aheadMs = AHEAD_MS }: HolderOptions, slowestMs = 0): number {
  return Math.ceil(Math.min(aheadMs + 2 * slowestMs, MAX_AHEAD_MS) / layout.tickMs) + 1;
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
