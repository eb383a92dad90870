import { StoreError } from "../errors.ts";
import type { PostgresTls } from "./_postgres_connection.ts";
import { PostgresServers } from "./_postgres_servers.ts";
import { parsePostgresUrl, type PostgresUrl } from "./_postgres_url.ts";
import { readCertificate, readCredentials, readSecret, type UserAndPassword } from "./_secret_files.ts";
import { PostgresReservationStore } from "./postgres_store.ts";

/**
 * Keeps reservations in PostgreSQL, as {@linkcode PostgresReservationStore} does, with a driver of its own: npm:pg. It
 * has one connection, and finds the primary among the servers that it knows, also after a fail-over.
 */
export class PostgresServersStore extends PostgresReservationStore implements Disposable {
  readonly #servers: PostgresServers;

  private constructor(servers: PostgresServers, table: string | undefined) {
    super({ query: servers.query, ...table !== undefined && { table } });
    this.#servers = servers;
  }

  /**
   * Prepares a store that a URL names: `postgres://USER:PASSWORD@HOST:PORT,HOST:PORT/DATABASE`. After a question mark
   * can follow: `table=NAME` or `table=SCHEMA.NAME`; `sslmode=verify-full` for TLS; and files: `credentials` has one
   * line `USER:PASSWORD`, so that other users of the machine do not see the password among the arguments of a command;
   * `ca`, `cert` and `key` are of the PEM format. Of the files with the password and the key, others must have no
   * access.
   *
   * @param url The URL. Without a port, 5432 is meant.
   * @throws {SyntaxError} If the URL has another form.
   * @throws {StoreError} If a file cannot be read, is open to others, or holds something else.
   */
  static async fromUrl(url: string): Promise<PostgresServersStore> {
    const parsed = parsePostgresUrl(url);
    const { servers, database, table, isTls, files } = parsed;
    const login = await readLogin(parsed);
    const tls = isTls ? await readTls(files) : undefined;
    return new PostgresServersStore(new PostgresServers(servers, { database, ...login, tls }), table);
  }

  /** Closes the connection. */
  close(): void {
    this.#servers.close();
  }

  /** Closes the connection. */
  [Symbol.dispose](): void {
    this.close();
  }
}

async function readLogin({ user, password, files: { credentials } }: PostgresUrl): Promise<UserAndPassword> {
  if (credentials === undefined) return { user: user ?? "", password: password ?? "" };
  const found = await readCredentials(credentials);
  if (user === undefined || user === found.user && password === undefined) return found;
  throw new StoreError(`${credentials} and the URL both name a user: leave one of them out`);
}

async function readTls({ ca, cert, key }: PostgresUrl["files"]): Promise<PostgresTls> {
  return {
    ...ca !== undefined && { ca: await readCertificate(ca) },
    ...cert !== undefined && key !== undefined && { cert: await readCertificate(cert), key: await readSecret(key) },
  };
}
