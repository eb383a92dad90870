import { checkInteger, describe } from "../base/check.ts";

/**
 * Which of the two lower fields of an id is the more significant one: the first named.
 *
 * @example The order of Twitter's ids
 * ```ts
 * import { type IdOrder, TWITTER_LAYOUT } from "@global-id/global-id";
 *
 * const order: IdOrder = TWITTER_LAYOUT.order; // "node-sequence"
 * ```
 */
export type IdOrder = "sequence-node" | "node-sequence";

/**
 * The fields of one id. All are non-negative integers; each must fit the bits that the layout gives it.
 *
 * @example The parts of an id
 * ```ts
 * import { DEFAULT_LAYOUT, type IdParts } from "@global-id/global-id";
 * import { assertEquals } from "@std/assert";
 *
 * const parts: IdParts = DEFAULT_LAYOUT.unpack(29210240083821568n);
 * assertEquals(parts, { tick: 217633248, sequence: 1, nodeId: 0 });
 * ```
 */
export interface IdParts {
  /** Ticks since the layout's epoch. */
  tick: number;
  /** The number of the id within its tick and node. */
  sequence: number;
  /** The node that made the id. */
  nodeId: number;
}

/**
 * Options for {@linkcode IdLayout}.
 *
 * @example 65,536 ids a second on each of 256 nodes, in 60 bits
 * ```ts
 * import { IdLayout, type IdLayoutOptions } from "@global-id/global-id";
 *
 * const options: IdLayoutOptions = {
 *   timeBits: 36,
 *   sequenceBits: 16,
 *   nodeBits: 8,
 *   tickMs: 1000,
 *   epochMs: Date.UTC(2026, 0, 1),
 * };
 * const layout = new IdLayout(options);
 * ```
 */
export interface IdLayoutOptions {
  /** Bits of the tick, 1 to 53: more would not be an exact `number`. */
  timeBits: number;
  /** Bits of the sequence number, 0 to 31. A node has 2^sequenceBits ids a tick. */
  sequenceBits: number;
  /** Bits of the node id, 0 to 31. */
  nodeBits: number;
  /** Length of a tick in milliseconds, from 1 ms to a day (86,400,000 ms). */
  tickMs: number;
  /**
   * When tick 0 begins, in milliseconds since the Unix epoch (1970-01-01T00:00:00Z), which is the earliest. Numbers
   * that look like seconds are refused.
   */
  epochMs: number;
  /**
   * Order of the two lower fields, most significant first.
   *
   * @default {"sequence-node"}
   */
  order?: IdOrder;
}

const MAX_ID = 2n ** 64n - 1n;
const MAX_TICK_MS = 86_400_000;

/**
 * Times in seconds from 2001 to 2286. Read as milliseconds, they all lie between January and April of 1970, where
 * nobody begins a layout.
 */
const MIN_SECONDS = 1e9;
const MAX_SECONDS = 1e10 - 1;

/** The last instant that a `Date` can hold, in ms (ECMA-262, 21.4.1.1 "Time Values and Time Range"). */
const MAX_DATE_MS = 8.64e15;

/**
 * How an id is laid out: the widths of its three fields and what a tick means.
 *
 * The time is always on top, so that ids sort by time; `order` says which of the sequence number and the node id
 * comes next. A layout is a value: it does not change, and it may be shared.
 *
 *     sequence-node   | time | sequence | node id |     this project's default, Sonyflake
 *     node-sequence   | time | node id | sequence |     Twitter's Snowflake, Discord, Instagram
 *
 * @example Taking an id apart and putting it together again
 * ```ts
 * import { DEFAULT_LAYOUT } from "@global-id/global-id";
 * import { assertEquals } from "@std/assert";
 *
 * const id = DEFAULT_LAYOUT.pack({ tick: 86_400, sequence: 5, nodeId: 7 });
 * assertEquals(id, 86_400n << 27n | 5n << 10n | 7n);
 * assertEquals(DEFAULT_LAYOUT.unpack(id), { tick: 86_400, sequence: 5, nodeId: 7 });
 * assertEquals(DEFAULT_LAYOUT.timestampOf(id).toISOString(), "2020-01-02T00:00:00.000Z");
 * ```
 */
export class IdLayout {
  /** Bits of the tick. */
  readonly timeBits: number;
  /** Bits of the sequence number. */
  readonly sequenceBits: number;
  /** Bits of the node id. */
  readonly nodeBits: number;
  /** Length of a tick in milliseconds. */
  readonly tickMs: number;
  /** When tick 0 begins, in milliseconds since the Unix epoch. */
  readonly epochMs: number;
  /** Order of the two lower fields. */
  readonly order: IdOrder;

  /** Bits of a whole id, 1 to 64. */
  readonly totalBits: number;
  /** The last tick that has ids: 2^timeBits - 1. */
  readonly maxTick: number;
  /** The last sequence number of a tick: 2^sequenceBits - 1. */
  readonly maxSequence: number;
  /** The last node id: 2^nodeBits - 1. */
  readonly maxNodeId: number;
  /** How far the sequence number is shifted to its place in the id, in bits. */
  readonly sequenceShift: number;
  /** How far the node id is shifted to its place in the id, in bits. */
  readonly nodeShift: number;

  /**
   * Makes a layout.
   *
   * @param options The widths, the tick and the epoch; all but `order` must be given.
   * @throws {TypeError} If an option is of the wrong type.
   * @throws {RangeError} If a number is out of its range, or the widths add up to more than 64 bits.
   */
  constructor(options: IdLayoutOptions) {
    const { timeBits, sequenceBits, nodeBits, tickMs, epochMs, order = "sequence-node" } = options;
    this.timeBits = checkInteger("timeBits", timeBits, 1, 53);
    this.sequenceBits = checkInteger("sequenceBits", sequenceBits, 0, 31);
    this.nodeBits = checkInteger("nodeBits", nodeBits, 0, 31);
    this.tickMs = checkInteger("tickMs", tickMs, 1, MAX_TICK_MS);
    this.epochMs = checkInteger("epochMs", epochMs, 0, MAX_DATE_MS);
    if (epochMs >= MIN_SECONDS && epochMs <= MAX_SECONDS) {
      throw new RangeError(`epochMs is in milliseconds, and ${epochMs} looks like seconds: write ${epochMs}000`);
    }
    if (order !== "sequence-node" && order !== "node-sequence") {
      throw new TypeError(`order must be "sequence-node" or "node-sequence": got ${describe(order)}`);
    }
    this.order = order;

    this.totalBits = timeBits + sequenceBits + nodeBits;
    if (this.totalBits > 64) {
      throw new RangeError(`timeBits + sequenceBits + nodeBits must be at most 64: got ${this.totalBits}`);
    }
    this.maxTick = 2 ** timeBits - 1;
    this.maxSequence = 2 ** sequenceBits - 1;
    this.maxNodeId = 2 ** nodeBits - 1;
    this.sequenceShift = order === "sequence-node" ? nodeBits : 0;
    this.nodeShift = order === "sequence-node" ? 0 : sequenceBits;
  }

  /** The layout in words, for people. Programs compare keys: see {@linkcode IdLayout.key}. */
  toString(): string {
    return sentenceOf(this);
  }

  /**
   * The layout as a reservation store keeps it on record. Two layouts have one key if and only if all their ids mean
   * the same. It is a format, version 1, and never changes.
   *
   * @example The key of the default layout
   * ```ts
   * import { DEFAULT_LAYOUT } from "@global-id/global-id";
   * import { assertEquals } from "@std/assert";
   *
   * assertEquals(
   *   DEFAULT_LAYOUT.key,
   *   "v1 time=37 sequence=17 node=10 order=sequence-node tick_ms=1000 epoch_ms=1577836800000",
   * );
   * ```
   */
  get key(): string {
    const { timeBits, sequenceBits, nodeBits, order, tickMs, epochMs } = this;
    return `v1 time=${timeBits} sequence=${sequenceBits} node=${nodeBits} order=${order} tick_ms=${tickMs} epoch_ms=${epochMs}`;
  }

  /**
   * Tells whether a record means this layout.
   *
   * @param text The layout on record: a key or, in records from before there were keys, a sentence.
   * @returns Whether it stands for a layout whose ids all mean the same as this one's.
   */
  isRecordedAs(text: string): boolean {
    return text === this.key || text === sentenceOf(this);
  }

  /**
   * Puts an id together from its fields.
   *
   * @param parts The fields, each within the layout's bits.
   * @returns The id, from 0 to 2^totalBits - 1.
   * @throws {RangeError} If a field does not fit its bits.
   */
  pack(parts: IdParts): bigint {
    const tick = BigInt(checkInteger("tick", parts.tick, 0, this.maxTick));
    const sequence = BigInt(checkInteger("sequence", parts.sequence, 0, this.maxSequence));
    const nodeId = BigInt(checkInteger("nodeId", parts.nodeId, 0, this.maxNodeId));
    return tick << BigInt(this.sequenceBits + this.nodeBits) |
      sequence << BigInt(this.sequenceShift) |
      nodeId << BigInt(this.nodeShift);
  }

  /**
   * Takes an id apart into its fields.
   *
   * @param id An id of this layout, from 0 to 2^totalBits - 1.
   * @returns Its fields.
   * @throws {TypeError} If it is not a `bigint`.
   * @throws {RangeError} If it is negative or has more bits than the layout.
   */
  unpack(id: bigint): IdParts {
    checkId(id, this.totalBits);
    return {
      tick: Number(id >> BigInt(this.sequenceBits + this.nodeBits)),
      sequence: Number(BigInt.asUintN(this.sequenceBits, id >> BigInt(this.sequenceShift))),
      nodeId: Number(BigInt.asUintN(this.nodeBits, id >> BigInt(this.nodeShift))),
    };
  }

  /**
   * Tells when an id was made: the beginning of its tick. The tick's length is how exact that is.
   *
   * @param id An id of this layout.
   * @returns The time; an invalid `Date` if it lies past the last one that a `Date` can hold (the year 275760).
   * @throws {TypeError} If it is not a `bigint`.
   * @throws {RangeError} If it is negative or has more bits than the layout.
   */
  timestampOf(id: bigint): Date {
    return new Date(this.epochMs + this.unpack(id).tick * this.tickMs);
  }

  /**
   * Returns the lowest id of the tick that a time lies in, whichever node makes it. The ids of a span of time, from
   * `from` to before `to` (in whole ticks), are those with `id >= lowestIdAt(from)` and `id < lowestIdAt(to)`.
   *
   * @param time The time: a `Date`, or milliseconds since the Unix epoch.
   * @returns The id.
   * @throws {TypeError} If the time is neither.
   * @throws {RangeError} If the time is before the layout's epoch, or after its last tick.
   *
   * @example The ids of one day
   * ```ts
   * import { DEFAULT_LAYOUT } from "@global-id/global-id";
   * import { assertEquals } from "@std/assert";
   *
   * const from = DEFAULT_LAYOUT.lowestIdAt(new Date("2030-05-01T00:00:00Z"));
   * const to = DEFAULT_LAYOUT.lowestIdAt(new Date("2030-05-02T00:00:00Z"));
   * assertEquals(DEFAULT_LAYOUT.timestampOf(from).toISOString(), "2030-05-01T00:00:00.000Z");
   * assertEquals(DEFAULT_LAYOUT.timestampOf(to - 1n).toISOString(), "2030-05-01T23:59:59.000Z");
   * ```
   */
  lowestIdAt(time: Date | number): bigint {
    return this.pack({ tick: this.#tickAt(time), sequence: 0, nodeId: 0 });
  }

  /**
   * Returns the highest id of the tick that a time lies in, whichever node makes it.
   *
   * @param time The time: a `Date`, or milliseconds since the Unix epoch.
   * @returns The id.
   * @throws {TypeError} If the time is neither.
   * @throws {RangeError} If the time is before the layout's epoch, or after its last tick.
   *
   * @example Everything up to a second
   * ```ts
   * import { DEFAULT_LAYOUT } from "@global-id/global-id";
   * import { assertEquals } from "@std/assert";
   *
   * const last = DEFAULT_LAYOUT.highestIdAt(new Date("2030-05-01T12:00:00Z"));
   * assertEquals(last + 1n, DEFAULT_LAYOUT.lowestIdAt(new Date("2030-05-01T12:00:01Z")));
   * ```
   */
  highestIdAt(time: Date | number): bigint {
    return this.pack({ tick: this.#tickAt(time), sequence: this.maxSequence, nodeId: this.maxNodeId });
  }

  #tickAt(time: Date | number): number {
    const ms = time instanceof Date ? time.getTime() : time;
    if (typeof ms !== "number") throw new TypeError(`time must be a Date or milliseconds: got ${describe(time)}`);
    const tick = Math.floor((ms - this.epochMs) / this.tickMs);
    if (tick >= 0 && tick <= this.maxTick) return tick;
    const last = this.epochMs + (this.maxTick + 1) * this.tickMs - 1;
    throw new RangeError(`time must be from ${timeText(this.epochMs)} to ${timeText(last)}: got ${timeText(ms)}`);
  }
}

/**
 * Returns `id` if it is one of at most `bits` bits.
 *
 * @throws {TypeError} If it is not a `bigint`.
 * @throws {RangeError} If it is negative or too wide.
 */
export function checkId(id: bigint, bits = 64): bigint {
  if (typeof id !== "bigint") throw new TypeError(`id must be a bigint: got ${describe(id)}`);
  const max = MAX_ID >> BigInt(64 - bits);
  if (id < 0n || id > max) throw new RangeError(`id must be from 0 to ${max} (${bits} bits): got ${id}`);
  return id;
}

/** A time as people read it, or the number of milliseconds where no `Date` can hold it. */
function timeText(ms: number): string {
  return Math.abs(ms) <= MAX_DATE_MS ? new Date(ms).toISOString() : `${ms} ms`;
}

/** The layout in records from before there were keys. Such records are still read, so this never changes. */
function sentenceOf({ timeBits, sequenceBits, nodeBits, order, tickMs, epochMs }: IdLayout): string {
  const epoch = new Date(epochMs).toISOString();
  return `${timeBits}/${sequenceBits}/${nodeBits} ${order}, ticks of ${tickMs} ms since ${epoch}`;
}
