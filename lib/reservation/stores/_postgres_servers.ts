import { sleep } from "../../base/sleep.ts";
import { StoreError } from "../errors.ts";
import { type PostgresAccess, PostgresConnection } from "./_postgres_connection.ts";
import { codeOf, isAnswer, needsOperator, postgresFailure, SilenceError, UnservedError } from "./_postgres_failure.ts";
import type { PostgresAddress } from "./_postgres_url.ts";
import type { PostgresQuery, PostgresResult } from "./postgres_store.ts";

/** For how long a statement is repeated while each server fails at once, in ms: whoever waits is to learn why. */
const FAILING_MS = 1500;

/** How often it is tried at least, however long that takes: where replies get lost, a machine may be slow as well. */
const MIN_TRIES = 10;

/** For how long it is repeated while a server is silent, or slow, in ms: less than a store waits, which says less. */
const SILENT_MS = 8000;

/** The pauses before a statement is repeated, in ms: the first and the longest one. Each is twice the one before. */
const FIRST_PAUSE_MS = 25;
const MAX_PAUSE_MS = 400;

/** PostgreSQL's codes for a server that ends, starts, or has become a standby: another one may serve. */
const MAY_SERVE_ELSEWHERE = /^(57P0[123]|25006|08)/;

/** A server that has failed, and what happened. */
type Failure = readonly [server: PostgresAddress, error: unknown];

/**
 * The servers of a PostgreSQL cluster, of which one is the primary at a time. There is one connection, to the primary.
 * When that one fails or is silent, the servers are tried in turn, from the next one on, until one is the primary.
 *
 * So a statement may be performed several times.
 */
export class PostgresServers {
  readonly #servers: readonly PostgresAddress[];
  readonly #access: PostgresAccess;
  #opening: Promise<PostgresConnection> | undefined;
  /** The server that is connected, or to be tried next: its number, counted on. */
  #turn = 0;
  #isClosed = false;

  /** The servers at these addresses, at least one. */
  constructor(servers: readonly PostgresAddress[], access: PostgresAccess) {
    this.#servers = servers;
    this.#access = access;
  }

  /**
   * Performs a statement on the primary.
   *
   * @throws {StoreError} If no server serves in time.
   * @throws {Error} What the primary answers, if it refuses.
   */
  readonly query: PostgresQuery = async (text, values) => {
    const beganMs = performance.now();
    let pauseMs = FIRST_PAUSE_MS;
    for (let tries = 1;; tries++, pauseMs = Math.min(2 * pauseMs, MAX_PAUSE_MS)) {
      try {
        return await this.#tryOnce(text, values);
      } catch (error) {
        if (!(error instanceof UnservedError)) throw error;
        const limitMs = error.isSilent || tries < MIN_TRIES ? SILENT_MS : FAILING_MS;
        if (performance.now() - beganMs >= limitMs) throw error;
        // At random, so that not all nodes come back at once.
        await sleep(pauseMs * (0.5 + Math.random() / 2));
      }
    }
  };

  /** Closes the connection; statements that are under way fail. */
  close(): void {
    this.#isClosed = true;
    this.#opening?.then((connection) => connection.close(), () => {});
  }

  async #tryOnce(text: string, values: readonly (number | string)[]): Promise<PostgresResult> {
    if (this.#isClosed) throw new StoreError("the PostgreSQL store is closed");
    const opening = this.#opening ??= this.#openPrimary();
    try {
      const connection = await opening;
      return await connection.query(text, values).catch((error) => {
        if (connection.isSound && isAnswer(error) && !MAY_SERVE_ELSEWHERE.test(codeOf(error))) throw error;
        connection.close();
        throw failureOf([[connection.address, error]]);
      });
    } catch (error) {
      if (error instanceof StoreError && this.#opening === opening) {
        this.#opening = undefined;
        this.#turn++;
      }
      throw error;
    }
  }

  get #current(): PostgresAddress {
    return this.#servers[this.#turn % this.#servers.length];
  }

  /** Tries each server once, until one is the primary. */
  async #openPrimary(): Promise<PostgresConnection> {
    const failures: Failure[] = [];
    for (let tries = 0; tries < this.#servers.length && !this.#isClosed; tries++) {
      try {
        return await PostgresConnection.open(this.#current, this.#access);
      } catch (error) {
        failures.push([this.#current, error]);
        if (tries < this.#servers.length - 1) this.#turn++;
      }
    }
    throw failureOf(failures);
  }
}

/** What to tell of servers that have failed, at least one: another kind of error if none of them may serve soon. */
function failureOf(failures: readonly Failure[]): StoreError {
  const [[, cause]] = failures;
  const message = failures.map(([{ host, port }, error]) => {
    const where = host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
    return postgresFailure(error, { where }).message;
  }).join(". ");
  if (failures.every(([, error]) => needsOperator(error))) return new StoreError(message, { cause });
  return new UnservedError(message, failures.some(([, error]) => error instanceof SilenceError), { cause });
}
