import { clusterOf } from "../access/cluster.ts";
import { GlobalIdError } from "../base/errors.ts";
import { messageOf } from "../base/message_of.ts";
import { parseStoreUrl, type StoreUrl } from "../reservation/stores/store_url.ts";
import { parseArgs } from "@std/cli/parse-args";

/** The command line was wrong; the message says what is allowed. */
export class UsageError extends GlobalIdError {
  /** The name of the class. */
  override name = "UsageError";
}

/**
 * Reads a command line of `--name value` and `--name=value` (the strings, and the lists, which may be given several
 * times) and of `--name` (the booleans).
 *
 * @param args The command line.
 * @param names Which flags there are, without their dashes.
 * @returns The flags by their names: `undefined` for a string that is not there, `false` for such a boolean, `[]` for
 * such a list.
 * @throws {UsageError} If there is a flag that is not named, a string without a value, or a word that is no flag.
 */
export function readFlags<S extends string, B extends string, L extends string = never>(
  args: string[],
  names: { string: readonly S[]; boolean: readonly B[]; list?: readonly L[] },
): { [K in S]?: string } & { [K in B]: boolean } & { [K in L]: string[] } {
  const { list = [] } = names;
  const allowed = [...names.string, ...list, ...names.boolean].map((name) => `--${name}`).join(", ");
  const flags = parseArgs(args, {
    string: [...names.string, ...list],
    collect: list,
    boolean: names.boolean,
    unknown: (arg: string) => {
      throw new UsageError(`${JSON.stringify(arg)} is not a flag of this command: there are ${allowed}`);
    },
  }) as Record<string, unknown>;
  for (const name of [...names.string, ...list]) {
    if ([flags[name]].flat().includes("")) throw new UsageError(`--${name} needs a value`);
  }
  return flags as { [K in S]?: string } & { [K in B]: boolean } & { [K in L]: string[] };
}

/**
 * Refuses a flag that changes nothing without another one: whoever gives it expects that it does.
 *
 * @param name The flag, without its dashes.
 * @param value Its value; `undefined` or `false`: it was not given.
 * @param other The other flag, with its dashes.
 * @param hasOther Whether that one was given.
 * @throws {UsageError} If the flag was given, and the other one was not.
 */
export function checkPartner(
  name: string,
  value: string | boolean | undefined,
  other: string,
  hasOther: boolean,
): void {
  if (value === undefined || value === false || hasOther) return;
  throw new UsageError(`--${name} says nothing without ${other}: give both, or leave it out`);
}

/** The integers that a flag may have, both bounds included. */
export interface IntegerBounds {
  /** The lowest value allowed. */
  readonly min: number;
  /** The highest value allowed. */
  readonly max: number;
}

/**
 * Reads the value of a flag that is an integer.
 *
 * @param name The flag, without its dashes.
 * @param text Its value, or `undefined` if the flag was not given.
 * @param bounds The values allowed.
 * @returns The integer; `undefined` if the flag was not given.
 * @throws {UsageError} If the value is not such an integer in decimal digits.
 */
export function integerFlag(name: string, text: string, bounds: IntegerBounds): number;
export function integerFlag(name: string, text: string | undefined, bounds: IntegerBounds): number | undefined;
export function integerFlag(name: string, text: string | undefined, { min, max }: IntegerBounds): number | undefined {
  if (text === undefined) return undefined;
  const value = /^[0-9]{1,15}$/.test(text) ? Number(text) : NaN;
  if (value >= min && value <= max) return value;
  throw new UsageError(`--${name} must be an integer from ${min} to ${max}: got ${JSON.stringify(text)}`);
}

/**
 * Reads the value of a flag that is one of several words.
 *
 * @param name The flag, without its dashes.
 * @param text Its value, or `undefined` if the flag was not given.
 * @param words The words allowed.
 * @returns The word; `undefined` if the flag was not given.
 * @throws {UsageError} If the value is none of the words.
 */
export function wordFlag<W extends string>(name: string, text: string | undefined, words: readonly W[]): W | undefined {
  if (text === undefined) return undefined;
  const word = words.find((word) => word === text);
  if (word !== undefined) return word;
  throw new UsageError(`--${name} must be one of ${words.join(", ")}: got ${JSON.stringify(text)}`);
}

/**
 * Reads the value of `--cluster`.
 *
 * @param text Its value, or `undefined` if the flag was not given.
 * @param storeName The name of the servers' store, if it has one and requests are signed: only these are for a cluster.
 * @returns The name of the cluster: see `clusterOf`.
 * @throws {UsageError} If it is no such name.
 */
export function clusterFlag(text: string | undefined, storeName: string | undefined): string {
  try {
    return clusterOf(text, storeName);
  } catch (error) {
    throw new UsageError(`--${messageOf(error)}`, { cause: error });
  }
}

/**
 * Reads the value of `--store`.
 *
 * @param text Its value.
 * @throws {UsageError} If it names no store.
 */
export function storeFlag(text: string): StoreUrl {
  try {
    return parseStoreUrl(text);
  } catch (error) {
    throw new UsageError(`--store: ${messageOf(error)}`, { cause: error });
  }
}
