import { base32crockford } from "@scure/base";
import { describe } from "../base/check.ts";
import { checkId } from "./layout.ts";

/**
 * A text form of an id. All are of a fixed width and sort like the ids: by code units, as `Array.prototype.sort` does,
 * or a database column with the collation "C".
 *
 * - `"decimal"`: 20 digits
 * - `"hex"`: 16 digits, lower case
 * - `"base32"`: 13 of Crockford's symbols (https://www.crockford.com/base32.html), which leave out I, L, O and U
 * - `"base62"`: 11 of the digits, the upper-case and the lower-case letters, in this order
 *
 * @example The form of a setting
 * ```ts
 * import { formatId, type IdForm } from "@global-id/global-id";
 * import { assertEquals } from "@std/assert";
 *
 * const form: IdForm = "base32";
 * assertEquals(formatId(29210240083821568n, form), "00SY6HW000100");
 * ```
 */
export type IdForm = "decimal" | "hex" | "base32" | "base62";

interface TextForm {
  /** The form in the words of an error message. */
  readonly description: string;
  /** The shape of a text, its value aside. */
  readonly pattern: RegExp;
  format(id: bigint): string;
  /** The value of a text of that shape; may be more than 64 bits. */
  parse(text: string): bigint;
}

/** In the order of their code units, so that texts sort like their numbers. (The libraries' alphabets do not.) */
const BASE62_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

const FORMS: Record<IdForm, TextForm> = {
  decimal: {
    description: "1 to 20 decimal digits",
    pattern: /^[0-9]{1,20}$/,
    format: (id) => id.toString().padStart(20, "0"),
    parse: (text) => BigInt(text),
  },
  hex: {
    description: "16 hexadecimal digits, after 0x or not",
    pattern: /^(0x)?[0-9a-f]{16}$/i,
    format: (id) => id.toString(16).padStart(16, "0"),
    parse: (text) => BigInt(text.length === 16 ? `0x${text}` : text.toLowerCase()),
  },
  base32: {
    description: "13 symbols of Crockford's base32, with hyphens between them or not",
    pattern: /^[0-9a-tv-z](-?[0-9a-tv-z]){12}$/i,
    // 80 bits are 16 symbols to the bit, so that the last 13 are those of the number's lower 65 bits.
    format: (id) => base32crockford.encode(bytesOf(id, 10)).slice(3),
    parse: (text) => numberOf(base32crockford.decode(`000${text.replaceAll("-", "")}`)),
  },
  base62: {
    description: "11 digits and letters",
    pattern: /^[0-9A-Za-z]{11}$/,
    format: formatBase62,
    parse: parseBase62,
  },
};

/**
 * Writes an id as text.
 *
 * @param id The id, from 0 to 2^64 - 1.
 * @param form The text form; decimal if it is left out.
 * @returns The text, always of the form's width.
 * @throws {TypeError} If the id is not a `bigint` or there is no such form.
 * @throws {RangeError} If the id is out of its range.
 *
 * @example The forms of one id
 * ```ts
 * import { formatId } from "@global-id/global-id";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(formatId(1234567890123456789n), "01234567890123456789");
 * assertEquals(formatId(1234567890123456789n, "hex"), "112210f47de98115");
 * assertEquals(formatId(1234567890123456789n, "base32"), "128GGYHYYK08N");
 * assertEquals(formatId(1234567890123456789n, "base62"), "1TCKi1nFuNh");
 * ```
 */
export function formatId(id: bigint, form: IdForm = "decimal"): string {
  return formOf(form).format(checkId(id));
}

/**
 * Reads an id from text. Letter case matters for `"base62"` only; decimal digits may be fewer than 20, and `"hex"` may
 * begin with `0x`. In `"base32"`, the letters o, i and l are read as the digits that they look like, and a hyphen may
 * stand between any two symbols.
 *
 * @param text The text.
 * @param form The text form; decimal if it is left out.
 * @returns The id.
 * @throws {TypeError} If the text is not a string or there is no such form.
 * @throws {SyntaxError} If the text is not of that form.
 * @throws {RangeError} If it is, but stands for more than 64 bits.
 *
 * @example An id in lower case
 * ```ts
 * import { parseId } from "@global-id/global-id";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(parseId("128ggyhyyk08n", "base32"), 1234567890123456789n);
 * ```
 */
export function parseId(text: string, form: IdForm = "decimal"): bigint {
  const { description, pattern, parse } = formOf(form);
  if (typeof text !== "string") throw new TypeError(`text must be a string: got ${describe(text)}`);
  if (!pattern.test(text)) throw new SyntaxError(`an id as ${form} is ${description}: got ${describe(text)}`);
  return checkId(parse(text));
}

function formOf(form: IdForm): TextForm {
  if (!Object.hasOwn(FORMS, form)) {
    throw new TypeError(`form must be one of ${Object.keys(FORMS).join(", ")}: got ${describe(form)}`);
  }
  return FORMS[form];
}

function formatBase62(id: bigint): string {
  let text = "";
  for (let i = 0; i < 11; i++) {
    text = BASE62_ALPHABET[Number(id % 62n)] + text;
    id /= 62n;
  }
  return text;
}

function parseBase62(text: string): bigint {
  let id = 0n;
  for (const symbol of text) id = id * 62n + BigInt(BASE62_ALPHABET.indexOf(symbol));
  return id;
}

/** The number as `length` bytes, big-endian. */
function bytesOf(id: bigint, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  new DataView(bytes.buffer).setBigUint64(length - 8, id);
  return bytes;
}

/** The number that big-endian bytes stand for. */
function numberOf(bytes: Uint8Array): bigint {
  return bytes.reduce((number, byte) => number << 8n | BigInt(byte), 0n);
}
