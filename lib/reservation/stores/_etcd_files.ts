import type { EtcdCredentials } from "./_etcd_gateway.ts";
import type { EtcdTls } from "./_etcd_http.ts";
import type { EtcdUrl } from "./_etcd_url.ts";
import { readCertificate, readCredentials, readSecret } from "./_secret_files.ts";

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
    ...credentials !== undefined && { credentials: await readCredentials(credentials) },
    ...(ca !== undefined || cert !== undefined) && {
      tls: {
        caCerts: ca === undefined ? [] : [await readCertificate(ca)],
        ...cert !== undefined && key !== undefined && { cert: await readCertificate(cert), key: await readSecret(key) },
      },
    },
  };
}
