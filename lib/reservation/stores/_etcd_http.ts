import type { Send } from "./_etcd_gateway.ts";

/** How etcd is known, and what this client shows it: texts in the PEM format. */
export interface EtcdTls {
  /**
   * Certificates of authorities that may have signed etcd's, besides those that the system trusts.
   *
   * @default {[]}
   */
  readonly caCerts?: readonly string[];
  /**
   * This client's certificate. Where etcd has users and roles, it must have no common name: etcd refuses such a
   * certificate at its gateway.
   *
   * @default {undefined}
   */
  readonly cert?: string;
  /**
   * The key of the client's certificate.
   *
   * @default {undefined}
   */
  readonly key?: string;
}

/** A client of HTTP. */
export interface HttpClient {
  /** Sends a request. */
  readonly send: Send;
  /** Closes the connections. */
  close(): void;
}

/**
 * Makes a client of HTTP.
 *
 * @throws {TypeError} If there are certificates, and the runtime's `fetch` takes none.
 */
export function makeHttpClient(tls: EtcdTls | undefined): HttpClient {
  const { Deno: deno } = globalThis as { Deno?: typeof Deno };
  if (deno !== undefined) return makeDenoClient(deno, tls);
  if (tls !== undefined) {
    throw new TypeError(
      "this runtime's fetch takes no certificates: leave out tls, and name the authority's with NODE_EXTRA_CA_CERTS",
    );
  }
  return { send: (url, init) => fetch(url, init), close: () => {} };
}

/**
 * A client without HTTP/2, which has one connection for all requests: if that one hangs, because the other side stands
 * still or the network drops its packets, so does each request after it.
 */
function makeDenoClient(deno: typeof Deno, { caCerts = [], cert, key }: EtcdTls = {}): HttpClient {
  const identity = cert === undefined || key === undefined ? {} : { cert, key };
  const client = deno.createHttpClient({ http2: false, caCerts: [...caCerts], ...identity });
  return { send: (url, init) => fetch(url, { ...init, client } as RequestInit), close: () => client.close() };
}
