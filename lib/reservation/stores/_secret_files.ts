import { open } from "node:fs/promises";
import process from "node:process";
import { messageOf } from "../../base/message_of.ts";
import { StoreError } from "../errors.ts";

/** The bits of a file's mode for users who are neither its owner nor in its group. */
const OTHERS = 0o007;

/** A user of a database. */
export interface UserAndPassword {
  /** The user's name. */
  readonly user: string;
  /** The user's password. */
  readonly password: string;
}

/**
 * Reads one line `USER:PASSWORD`; the password may have colons.
 *
 * @throws {StoreError} If the file cannot be read, is open to others, or holds something else.
 */
export async function readCredentials(path: string): Promise<UserAndPassword> {
  const [, user, password] = /^([^:\r\n]+):([^\r\n]+)\r?\n?$/.exec(await readSecret(path)) ?? [];
  if (user === undefined) throw new StoreError(`${path} must hold one line, USER:PASSWORD`);
  return { user, password };
}

/**
 * Reads certificates.
 *
 * @throws {StoreError} If the file cannot be read, or holds something else.
 */
export async function readCertificate(path: string): Promise<string> {
  const { text } = await readText(path);
  if (/^-----BEGIN CERTIFICATE-----$/m.test(text)) return text;
  throw new StoreError(
    `${path} must hold certificates in the PEM format, which begin with -----BEGIN CERTIFICATE-----`,
  );
}

/**
 * Reads a file to which, on systems with file modes, only its owner and group may have access.
 *
 * @throws {StoreError} If the file cannot be read, or is open to others.
 */
export async function readSecret(path: string): Promise<string> {
  const { text, mode } = await readText(path);
  // Windows has no modes: its runtimes make one up.
  if (process.platform === "win32" || (mode & OTHERS) === 0) return text;
  throw new StoreError(
    `other users may have read the secret in ${path} (its mode is ${(mode & 0o777).toString(8).padStart(3, "0")}): ` +
      `chmod o= ${path}, or rather make a new secret`,
  );
}

async function readText(path: string): Promise<{ text: string; mode: number }> {
  try {
    const file = await open(path);
    try {
      const { mode } = await file.stat();
      return { text: await file.readFile("utf8"), mode };
    } finally {
      await file.close();
    }
  } catch (error) {
    throw new StoreError(`the store of reservations cannot read ${path}: ${messageOf(error)}`, { cause: error });
  }
}
