import { messageOf } from "../base/message_of.ts";
import { checkKeyAccess } from "./check_key_access.ts";
import { checkKey } from "./key.ts";

/** A key that was read. */
type Key = Uint8Array<ArrayBuffer>;

/** How many keys there may be at once: the old one and the new one. */
const MAX_KEYS = 2;

/** More than two long keys take. A file of this size is no key file, and is not read. */
const MAX_FILE_BYTES = 65_536;

const HOW_TO_MAKE_ONE = "make one with: (umask 077; openssl rand -hex 32 > FILE)";

/**
 * Reads the keys from a file: see {@linkcode parseKeys}.
 *
 * @param path The file. It may be a link. Only this user or root may own it, only its owner may write to it, and only
 * its owner and its group may read it: see {@linkcode checkKeyAccess}.
 * @returns The keys, one or two.
 * @throws {SyntaxError} If the file holds no key. The message does not show the contents.
 * @throws {Deno.errors.PermissionDenied} If others have access to the file, or this process has none.
 * @throws {Deno.errors.NotFound} If the file does not exist.
 */
export async function readKeyFile(path: string): Promise<Key[]> {
  checkFile(path, await Deno.stat(path)); // first, since a pipe could hold up the opening for ever
  using file = await Deno.open(path);
  const info = await file.stat();
  checkFile(path, info);
  checkKeyAccess(path, info);
  const chunks = await Array.fromAsync(file.readable);
  return parseKeys(await new Blob(chunks).text(), path);
}

function checkFile(path: string, { isFile, size }: Deno.FileInfo): void {
  if (isFile && size <= MAX_FILE_BYTES) return;
  throw new SyntaxError(
    `a key is in a regular file of at most ${MAX_FILE_BYTES} bytes, and ${path} is something else: ${HOW_TO_MAKE_ONE}`,
  );
}

/**
 * Reads one or two keys, each on a line of its own. There are two while a key is changed: a server accepts both, and a
 * client signs with the first.
 *
 * A key is at least 32 random bytes (see {@linkcode checkKey}), as hexadecimal digits (with or without 0x) or as base64
 * (of either alphabet, padded or not). A line that can be hexadecimal digits counts as such.
 *
 * @param text The lines. Empty ones, and space around a key, are ignored.
 * @param name The name of the text in messages, such as the path of its file.
 * @returns The keys.
 * @throws {SyntaxError} If the text is something else. The message does not show it.
 */
export function parseKeys(text: string, name: string): Key[] {
  const lines = text.trim().split(/\s*[\r\n]\s*/);
  if (lines.length > MAX_KEYS) {
    throw new SyntaxError(`there are at most ${MAX_KEYS} keys, a line each, and ${name} has ${lines.length} lines`);
  }
  return lines.map((line, i) => parseKey(line, lines.length === 1 ? name : `line ${i + 1} of ${name}`));
}

function parseKey(line: string, name: string): Key {
  const key = decode(line);
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

function decode(text: string): Key | undefined {
  const digits = text.replace(/^0x/, "");
  if (/^[0-9A-Fa-f]+$/.test(digits)) return digits.length % 2 === 0 ? Uint8Array.fromHex(digits) : undefined;
  if (/^[0-9A-Za-z+/]+=*$/.test(text)) return tryBase64(text, "base64");
  if (/^[0-9A-Za-z_-]+=*$/.test(text)) return tryBase64(text, "base64url");
  return undefined;
}

function tryBase64(text: string, alphabet: "base64" | "base64url"): Key | undefined {
  try {
    return Uint8Array.fromBase64(text, { alphabet });
  } catch {
    return undefined;
  }
}
