import { MIN_KEY_BYTES } from "./mac.ts";

/** Whoever is neither the owner of a file nor in its group. */
const OTHERS = 0o007;

const HOW_TO_MAKE_ONE = "make one with: (umask 077; openssl rand -hex 32 > FILE)";

/**
 * Reads a key from a file: see {@linkcode parseKey}.
 *
 * @param path The file. On systems that tell, nobody but its owner and its group may have access to it.
 * @returns The key.
 * @throws {SyntaxError} If there is no key in it; the message does not show what there is.
 * @throws {Deno.errors.PermissionDenied} If others have access to it, or this process has none.
 * @throws {Deno.errors.NotFound} If it is not there.
 */
export async function readKeyFile(path: string): Promise<Uint8Array<ArrayBuffer>> {
  using file = await Deno.open(path);
  const { mode } = await file.stat();
  if (mode !== null && (mode & OTHERS) !== 0) {
    throw new Deno.errors.PermissionDenied(
      `the key in ${path} may have been read by others (its mode is ${(mode & 0o777).toString(8).padStart(3, "0")}): ` +
        `chmod o= ${path}, or rather ${HOW_TO_MAKE_ONE}`,
    );
  }
  const chunks = await Array.fromAsync(file.readable);
  return parseKey(await new Blob(chunks).text(), path);
}

/**
 * Reads a key: at least 32 bytes, as hexadecimal digits (after 0x or not) or as base64 (of either alphabet, padded or not),
 * on one line. What can be hexadecimal digits is read as such.
 *
 * @param text The key. Space before and after it is left out.
 * @param name What to call the text in a message, such as the file that it is from.
 * @returns The key.
 * @throws {SyntaxError} If it is no such key; the message does not show what it is.
 */
export function parseKey(text: string, name: string): Uint8Array<ArrayBuffer> {
  const key = decode(text.trim());
  if (key === undefined) {
    throw new SyntaxError(
      `a key is one line of hexadecimal digits or base64, which ${name} is not: ${HOW_TO_MAKE_ONE}`,
    );
  }
  if (key.length < MIN_KEY_BYTES) {
    throw new SyntaxError(
      `a key has at least ${MIN_KEY_BYTES} bytes, and ${name} has ${key.length}: ${HOW_TO_MAKE_ONE}`,
    );
  }
  return key;
}

/** Says why a key cannot be read, and what to do about it. */
export function explainKeyFileError(error: unknown, path: string): string {
  if (error instanceof Deno.errors.NotCapable) {
    return `--key-file ${path} needs the permission --allow-read=${path}: deno task has it for ~/.global-id`;
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
