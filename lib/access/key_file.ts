import { messageOf } from "../base/message_of.ts";
import { checkKey } from "./key.ts";

/** The bits of a file's mode for users who are neither its owner nor in its group. */
const OTHERS = 0o007;

const HOW_TO_MAKE_ONE = "make one with: (umask 077; openssl rand -hex 32 > FILE)";

/**
 * Reads a key from a file: see {@linkcode parseKey}.
 *
 * @param path The file. On systems with file modes, only its owner and its group may have access.
 * @returns The key.
 * @throws {SyntaxError} If the file holds no key. The message does not show the contents.
 * @throws {Deno.errors.PermissionDenied} If others have access to the file, or this process has none.
 * @throws {Deno.errors.NotFound} If the file does not exist.
 */
export async function readKeyFile(path: string): Promise<Uint8Array<ArrayBuffer>> {
  using file = await Deno.open(path);
  const { mode } = await file.stat();
  if (mode !== null && (mode & OTHERS) !== 0) {
    throw new Deno.errors.PermissionDenied(
      `other users may have read the key in ${path} (its mode is ${(mode & 0o777).toString(8).padStart(3, "0")}): ` +
        `chmod o= ${path}, or rather ${HOW_TO_MAKE_ONE}`,
    );
  }
  const chunks = await Array.fromAsync(file.readable);
  return parseKey(await new Blob(chunks).text(), path);
}

/**
 * Reads a key: at least 32 random bytes (see {@linkcode checkKey}), on one line, as hexadecimal digits (with or without
 * 0x) or as base64 (of either alphabet, padded or not). A text that can be hexadecimal digits counts as such.
 *
 * @param text The key. Space before and after it is ignored.
 * @param name The name of the text in messages, such as the path of its file.
 * @returns The key.
 * @throws {SyntaxError} If the text is no such key. The message does not show it.
 */
export function parseKey(text: string, name: string): Uint8Array<ArrayBuffer> {
  const key = decode(text.trim());
  if (key === undefined) {
    throw new SyntaxError(
      `a key is one line of hexadecimal digits or base64, and ${name} is something else: ${HOW_TO_MAKE_ONE}`,
    );
  }
  try {
    return checkKey(key, name);
  } catch (error) {
    throw new SyntaxError(`${messageOf(error)}: ${HOW_TO_MAKE_ONE}`, { cause: error });
  }
}

/** Returns a message that says why a key cannot be read, and what to do. */
export function explainKeyFileError(error: unknown, path: string): string {
  if (error instanceof Deno.errors.NotCapable) {
    return `--key-file ${path} needs the permission --allow-read=${path}: deno task grants it`;
  }
  if (error instanceof Deno.errors.NotFound) return `--key-file: there is no file ${path}; ${HOW_TO_MAKE_ONE}`;
  return `--key-file: ${error instanceof Error ? error.message : error}`;
}

function decode(text: string): Uint8Array<ArrayBuffer> | undefined {
  const digits = text.replace(/^0x/, "");
  if (/^[0-9A-Fa-f]+$/.test(digits)) return digits.length % 2 === 0 ? Uint8Array.fromHex(digits) : undefined;
  if (/^[0-9A-Za-z+/]+=*$/.test(text)) return tryBase64(text, "base64");
  if (/^[0-9A-Za-z_-]+=*$/.test(text)) return tryBase64(text, "base64url");
  return undefined;
}

function tryBase64(text: string, alphabet: "base64" | "base64url"): Uint8Array<ArrayBuffer> | undefined {
  try {
    return Uint8Array.fromBase64(text, { alphabet });
  } catch {
    return undefined;
  }
}
