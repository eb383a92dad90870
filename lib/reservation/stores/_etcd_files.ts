import { open } from "node:fs/promises";
import process from "node:process";
import { messageOf } from "../../base/message_of.ts";
import { StoreError } from "../errors.ts";
import type { EtcdCredentials } from "./_etcd_gateway.ts";
import type { EtcdTls } from "./_etcd_http.ts";
import type { EtcdUrl } from "./_etcd_url.ts";

/** The bits of a file's mode for users who are neither its owner nor in its group. */
const OTHERS = 0o007;

/** What the files of a URL hold. */
export interface EtcdSecrets {
  /** The user, if a file names one. */
  readonly credentials?: EtcdCredentials;
  /** The certificates, if there are files of some. */
  readonly tls?: EtcdTls;
}

/**
 * Reads the files that a URL names. On systems with file modes, only their owner and group may have access to the
 * password and the key.
 *
 * @throws {StoreError} If a file cannot be read, is open to others, or holds something else.
 */
export async function readEtcdFiles({ credentials, ca, cert, key }: EtcdUrl["files"]): Promise<EtcdSecrets> {
  return {
    ...credentials !== undefined && { credentials: parseCredentials(await readSecret(credentials), credentials) },
    ...(ca !== undefined || cert !== undefined) && {
      tls: {
        caCerts: ca === undefined ? [] : [await readCertificate(ca)],
        ...cert !== undefined && key !== undefined && { cert: await readCertificate(cert), key: await readSecret(key) },
      },
    },
  };
}

/** Reads one line `USER:PASSWORD`; the password may have colons. */
function parseCredentials(text: string, path: string): EtcdCredentials {
  const [, user, password] = /^([^:\r\n]+):([^\r\n]+)\r?\n?$/.exec(text) ?? [];
  if (user === undefined) throw new StoreError(`${path} must hold one line, USER:PASSWORD`);
  return { user, password };
}

async function readCertificate(path: string): Promise<string> {
  const { text } = await readText(path);
  if (/^-----BEGIN CERTIFICATE-----$/m.test(text)) return text;
  throw new StoreError(
    `${path} must hold certificates in the PEM format, which begin with -----BEGIN CERTIFICATE-----`,
  );
}

async function readSecret(path: string): Promise<string> {
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
    throw new StoreError(`the etcd store cannot read ${path}: ${messageOf(error)}`, { cause: error });
  }
}
