import { describe } from "../base/check.ts";
import { StoreError } from "./errors.ts";

/** The record of a node: what a store keeps of it, as text (see {@linkcode encodeReservation}). */
export interface Reservation {
  /**
   * The first tick that is not reserved: all ticks below are spoken for. It only grows, except that a holder that gives
   * its node back may bring it down to its first unused tick.
   */
  readonly mark: number;
  /** How often the record has been written: it grows with every write, so that an older record is known for one. */
  readonly beat: number;
  /**
   * The node's holder and its attempt by which it wrote this record, as `NAME/ATTEMPT`: a text that comes on record
   * only once. `NAME` is empty once the node was given back: `/ATTEMPT`.
   */
  readonly holder: string;
  /**
   * When the holder wrote the record, by its own clock, in ms since the Unix epoch: its last sign of life, for people.
   * Nothing is decided by it. Releases before this one write none.
   */
  readonly writtenMs?: number;
  /** The key of the layout that the ticks are counted in (`IdLayout.key`): a mark means nothing in another layout. */
  readonly layout: string;
  /** Who the holder is. */
  readonly info: HolderInfo;
}

/**
 * Who a holder is, for people: nothing is decided by it. Each text has at most {@linkcode MAX_INFO_LENGTH} characters.
 */
export interface HolderInfo {
  /** The name of its machine. */
  readonly host?: string;
  /** Where it serves, as `HOST:PORT`. */
  readonly address?: string;
  /** The version of the software. */
  readonly version?: string;
  /** Since when it has held the node, as `Date.toISOString` writes it. */
  readonly since?: string;
}

/** The longest text of a {@linkcode HolderInfo}, in characters. */
export const MAX_INFO_LENGTH = 200;

/** The last time of a `Date`, in ms since the Unix epoch. */
const MAX_DATE_MS = 8.64e15;

/** The longest record that is read, in characters. One of this release has at most about 1,500. */
const MAX_RECORD_LENGTH = 16_384;

/** What a terminal does not just print, such as control characters: the texts are somebody else's. */
const UNPRINTABLE = /\p{C}/gu;

const INFO_KEYS = ["host", "address", "version", "since"] as const;

/**
 * Writes a record as a store keeps it: JSON, with the fields always in this order, and no spaces.
 *
 *     {"mark":217633249,"beat":7,"holder":"NAME/ATTEMPT","writtenMs":1795744849000,"layout":"v1 time=37 …","info":{}}
 *
 * What changes with every write comes first: PostgreSQL logs only what lies between the first and the last change.
 */
export function encodeReservation({ mark, beat, holder, writtenMs, layout, info }: Reservation): string {
  return JSON.stringify({ mark, beat, holder, writtenMs, layout, info: checkedInfo(info) });
}

/**
 * Reads a record. Fields that this release does not know are left alone: a later one may write them. A change compares
 * the text that was read, so they lock nobody out.
 *
 * @throws {StoreError} If the text is no record; the message names the field.
 */
export function decodeReservation(text: string): Reservation {
  const fields = parseObject(text);
  const { mark, beat, holder, writtenMs, layout, info } = fields;
  return {
    ...{ mark: integer("mark", mark), beat: integer("beat", beat) },
    ...{ holder: string("holder", holder), ...(isDate(writtenMs) && { writtenMs }) },
    ...{ layout: string("layout", layout), info: checkedInfo(info) },
  };
}

function parseObject(text: string): Record<string, unknown> {
  if (text.length > MAX_RECORD_LENGTH) {
    throw new StoreError(`a record has at most ${MAX_RECORD_LENGTH} characters: got ${text.length}`);
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new StoreError(`a record must be JSON: got ${describe(text)}`, { cause });
  }
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  throw new StoreError(`a record must be a JSON object: got ${describe(text)}`);
}

function integer(name: string, value: unknown): number {
  if (Number.isSafeInteger(value) && (value as number) >= 0) return value as number;
  throw new StoreError(
    `a record must have an integer from 0 to ${Number.MAX_SAFE_INTEGER} as ${name}: got ${describe(value)}`,
  );
}

function isDate(value: unknown): value is number {
  return Number.isSafeInteger(value) && Math.abs(value as number) <= MAX_DATE_MS;
}

function string(name: string, value: unknown): string {
  if (typeof value === "string") return value;
  throw new StoreError(`a record must have a string as ${name}: got ${describe(value)}`);
}

/** Describes a holder in a message, as far as anything is known of it. */
export function describeHolder({ holder, info: { host, address, version, since } }: Reservation): string {
  const parts = [
    host ?? `the holder ${describe(holder.split("/", 1)[0])}`,
    address && `at ${address}`,
    version && `version ${version}`,
    since && `since ${since}`,
  ];
  return parts.filter(Boolean).join(", ");
}

/** What is known of a holder, cut short. Nothing is decided by it, so nothing about it is an error. */
function checkedInfo(info: unknown): HolderInfo {
  if (typeof info !== "object" || info === null) return {};
  const fields = info as Record<string, unknown>;
  return Object.fromEntries(
    INFO_KEYS.flatMap((key) => {
      const value = Object.hasOwn(fields, key) ? fields[key] : undefined;
      return typeof value === "string" ? [[key, value.slice(0, MAX_INFO_LENGTH).replaceAll(UNPRINTABLE, "�")]] : [];
    }),
  );
}
