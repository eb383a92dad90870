import { Socket } from "node:net";
import { StoreError } from "../errors.ts";
import { SilenceError } from "./_postgres_failure.ts";
import type { PostgresAddress } from "./_postgres_url.ts";
import type { PostgresNotice, PostgresResult } from "./postgres_store.ts";

/** How long a server may take to open a connection, in ms. */
const CONNECT_MS = 3000;

/** How long a server may take for a statement, in ms. One that is not silent takes some ms. */
const STATEMENT_MS = 3000;

/** How long the server lets a statement wait for a lock, in ms: short enough for its answer to be waited for. */
const LOCK_MS = 1500;

/** Who asks, and for what. */
export interface PostgresAccess {
  readonly database: string;
  readonly user: string;
  /** The password; `""` if the server is not to ask for one. */
  readonly password: string;
  /** The certificates, if the server has to show one. */
  readonly tls: PostgresTls | undefined;
}

/** Certificates and a key, in the PEM format. */
export interface PostgresTls {
  /** Those of the authorities that may have signed the server's. Left out: those that the system knows. */
  readonly ca?: string;
  /** This side's own, and its key. */
  readonly cert?: string;
  readonly key?: string;
}

/** What is used of npm:pg's `Client` (https://node-postgres.com/apis/client). */
interface PgClient {
  connect(): Promise<unknown>;
  query(text: string, values: readonly (number | string)[]): Promise<{ rows: PostgresResult["rows"] }>;
  on(event: "error", listener: (error: Error) => void): void;
  on(event: "notice", listener: (notice: PostgresNotice) => void): void;
}

/** A connection to a primary. Each statement has a limit of time; after a failure the connection is of no more use. */
export class PostgresConnection {
  /** The server. */
  readonly address: PostgresAddress;

  readonly #client: PgClient;
  readonly #socket: Socket;
  /** Rejects when the connection has failed. */
  readonly #end = Promise.withResolvers<never>();
  #failure: Error | undefined;
  /** Ends with the last statement so far. */
  #last: Promise<unknown> = Promise.resolve();
  #notices: PostgresNotice[] = [];

  private constructor(address: PostgresAddress, client: PgClient, socket: Socket) {
    this.address = address;
    this.#client = client;
    this.#socket = socket;
    this.#end.promise.catch(() => {});
    client.on("error", (error) => this.#fail(error));
    client.on("notice", (notice) => this.#notices.push(notice));
  }

  /**
   * Opens a connection.
   *
   * @throws {StoreError} If the server is a standby.
   * @throws {Error} If the server cannot be reached or refuses.
   */
  static async open(address: PostgresAddress, access: PostgresAccess): Promise<PostgresConnection> {
    // Only who has such a store loads the driver.
    const { default: { Client } } = await import("pg");
    const { database, user, password, tls } = access;
    const socket = new Socket();
    const client = new Client({
      ...{ ...address, database, user, password: () => password, ssl: tls ?? false, stream: () => socket },
      // What is left out comes from the environment, which may be meant for other programs.
      ...{ application_name: "global-id", client_encoding: "UTF8", sslnegotiation: "postgres" },
      connectionTimeoutMillis: 0,
    }) as PgClient;
    const connection = new PostgresConnection(address, client, socket);
    try {
      await connection.#within(CONNECT_MS, client.connect());
      await connection.#prepare();
      return connection;
    } catch (error) {
      connection.close();
      throw error;
    }
  }

  /**
   * Refuses a standby. Has the server give up statements that wait for a lock, which others hold for as long as their
   * commits wait for a standby: each would keep a connection of the server's.
   */
  async #prepare(): Promise<void> {
    const { rows: [{ is_standby }] } = await this.query(
      "SELECT pg_is_in_recovery() AS is_standby, set_config('lock_timeout', $1, false)",
      [`${LOCK_MS}`],
    );
    if (is_standby === true) throw new StoreError("it is a standby");
  }

  /** Whether it can be used. */
  get isSound(): boolean {
    return this.#failure === undefined;
  }

  /** Performs a statement, after those before it. */
  query(text: string, values: readonly (number | string)[]): Promise<PostgresResult> {
    const result = this.#last.then(() => this.#perform(text, values));
    this.#last = result.catch(() => {});
    return result;
  }

  async #perform(text: string, values: readonly (number | string)[]): Promise<PostgresResult> {
    if (this.#failure !== undefined) throw this.#failure;
    this.#notices = [];
    const { rows } = await this.#within(STATEMENT_MS, this.#client.query(text, values));
    return { rows, notices: this.#notices };
  }

  /** Closes the connection; statements that are under way fail. */
  close(): void {
    this.#fail(new StoreError("the connection was closed"));
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    this.#end.reject(this.#failure);
    this.#socket.destroy();
  }

  /** The answer of the server, or the failure of the connection, which a silent server brings about. */
  async #within<Answer>(ms: number, answer: Promise<Answer>): Promise<Answer> {
    const timer = setTimeout(() => this.#fail(new SilenceError(`it did not answer within ${ms / 1000} s`)), ms);
    try {
      return await Promise.race([answer, this.#end.promise]);
    } finally {
      clearTimeout(timer);
    }
  }
}
