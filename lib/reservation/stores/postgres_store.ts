import { describe } from "../../base/check.ts";
import { messageOf } from "../../base/message_of.ts";
import { StoreError } from "../errors.ts";
import type { ReservationStore, StoreHistory } from "../store.ts";
import { codeOf, postgresFailure } from "./_postgres_failure.ts";
import { isAboutHistory, type PostgresStatements, postgresStatements } from "./_postgres_statements.ts";

/** The table by default. */
const DEFAULT_TABLE = "global_id_reservation";

/** How long a call may take, in ms. */
const CALL_MS = 10_000;

/** How often a call may run into what the store can mend: a table that is not there, a function it may not call. */
const MAX_ATTEMPTS = 5;

/** PostgreSQL's codes for what the store mends. */
const UNDEFINED_TABLE = "42P01";
const UNDEFINED_FUNCTION = "42883";
const INSUFFICIENT_PRIVILEGE = "42501";
/** Two sessions made the table at once: one of these. */
const MADE_MEANWHILE = ["23505", "42710", "42P07"];
/** Another session changed the row, in a database whose transactions are to be serializable. */
const TO_BE_REPEATED = ["40001", "40P01"];

/**
 * Performs a statement as a transaction of its own, and waits until the transaction has ended.
 *
 * @param text The statement, with parameters `$1`, `$2` and so on.
 * @param values The values of the parameters.
 * @returns The rows, and all notices that came with them.
 */
export type PostgresQuery = (text: string, values: readonly (number | string)[]) => Promise<PostgresResult>;

/** What PostgreSQL answers to a statement. */
export interface PostgresResult {
  /** The rows, by the names of the columns. */
  readonly rows: readonly Readonly<Record<string, unknown>>[];
  /**
   * All notices and warnings that PostgreSQL sent between the statement and the end of its transaction. A warning can
   * mean that a synchronous standby does not have a change.
   */
  readonly notices: readonly PostgresNotice[];
}

/** A notice or a warning, as the drivers have it. */
export interface PostgresNotice {
  /** Its code (SQLSTATE): warnings have others than `00000`. Left out: it counts as a warning. */
  readonly code?: string | undefined;
  /** Its text. */
  readonly message?: string | undefined;
}

/**
 * Options for {@linkcode PostgresReservationStore}.
 *
 * @example A table in a schema of its own
 * ```ts
 * import { type PostgresQuery, PostgresReservationStore } from "@global-id/global-id/postgres-store";
 *
 * const query: PostgresQuery = () => Promise.resolve({ rows: [{ record: null }], notices: [] });
 * const store = new PostgresReservationStore({ query, table: "ids.reservation" });
 * await store.read(7);
 * ```
 */
export interface PostgresStoreOptions {
  /** Performs a statement, with the program's own driver. */
  readonly query: PostgresQuery;
  /**
   * The table, as `NAME` or `SCHEMA.NAME`. It is made on first use.
   *
   * @default {"global_id_reservation"}
   */
  readonly table?: string;
}

/**
 * Keeps reservations in PostgreSQL 12 or later, a row for each node, for any number of machines. The program's own
 * driver performs the statements.
 *
 * A change is acknowledged once PostgreSQL has it on its disk and, where there is a synchronous standby, on that one's.
 * If an operator cancels the wait for the standby, PostgreSQL acknowledges the change with a warning. The store does
 * not count such a change. A call fails after 10 s without an answer; set your driver's own limits to less.
 *
 * The table is made on first use. If the user may not make it, the error has the statement for one who may.
 *
 * @example With npm:pg
 * ```ts no-assert
 * import pg from "npm:pg@8.23.1";
 * import { IdGenerator } from "@global-id/global-id";
 * import { type PostgresQuery, PostgresReservationStore } from "@global-id/global-id/postgres-store";
 *
 * async function openGenerator(): Promise<IdGenerator> {
 *   const pool = new pg.Pool({ host: "10.0.0.1", connectionTimeoutMillis: 3000, keepAlive: true });
 *   const query: PostgresQuery = async (text, values) => {
 *     const client = await pool.connect();
 *     const notices: { code?: string; message?: string }[] = [];
 *     const note = (notice: { code?: string; message?: string }) => void notices.push(notice);
 *     client.on("notice", note);
 *     let error: unknown;
 *     try {
 *       const { rows } = await client.query({ text, values: [...values], query_timeout: 3000 });
 *       return { rows, notices };
 *     } catch (reason) {
 *       throw error = reason;
 *     } finally {
 *       client.off("notice", note);
 *       client.release(error !== undefined); // A connection that failed is not used again.
 *     }
 *   };
 *   return await IdGenerator.open({ store: new PostgresReservationStore({ query }) });
 * }
 * ```
 */
export class PostgresReservationStore implements ReservationStore {
  readonly #query: PostgresQuery;
  readonly #table: string;
  #statements: PostgresStatements;
  #history: StoreHistory | undefined;
  /** When the statement was sent that told the history, on the monotonic clock, in ms. */
  #historyMs = 0;

  /**
   * Prepares a store; nothing is sent yet.
   *
   * @param options How to reach PostgreSQL, and which table to use.
   * @throws {SyntaxError} If the table's name would need escapes.
   */
  constructor({ query, table = DEFAULT_TABLE }: PostgresStoreOptions) {
    this.#query = query;
    this.#table = table;
    this.#statements = postgresStatements(table, { hasHistory: true });
  }

  /** The cluster of databases with its timeline, and how far it is, as the latest answer said, if the user may know. */
  get history(): StoreHistory | undefined {
    return this.#history;
  }

  /**
   * Reads the record of a node.
   *
   * @returns The record; `undefined` if there never was one.
   * @throws {StoreError} If PostgreSQL does not answer or refuses.
   */
  async read(nodeId: number): Promise<string | undefined> {
    const { rows: [row] } = await this.#call("read", [nodeId]);
    return row.record === null ? undefined : String(row.record);
  }

  /**
   * Replaces the record of a node, if it is as expected.
   *
   * @returns Whether the record was as expected, and is replaced.
   * @throws {StoreError} If PostgreSQL does not answer or refuses, or a synchronous standby may not have the change;
   * the change may be made all the same, or still be.
   */
  async compareAndSet(nodeId: number, expected: string | undefined, next: string): Promise<boolean> {
    const { rows: [row], notices } = expected === undefined
      ? await this.#call("insert", [nodeId, next])
      : await this.#call("update", [nodeId, expected, next]);
    const warning = notices.find(({ code = "" }) => !code.startsWith("00"));
    if (warning === undefined) return Number(row.made) === 1;
    throw new StoreError(
      `PostgreSQL may lose the change of node ${nodeId} with a fail-over: ${warning.message}; ` +
        "it counts once it is made again without a warning: see whether the synchronous standbys run",
    );
  }

  /**
   * Reads all records.
   *
   * @throws {StoreError} If PostgreSQL does not answer or refuses.
   */
  async list(): Promise<Map<number, string>> {
    const { rows } = await this.#call("list", []);
    const found = rows.filter(({ node_id }) => node_id !== null);
    return new Map(found.map(({ node_id, record }) => [Number(node_id), String(record)]));
  }

  /**
   * Tells the server's time, in ms since the Unix epoch.
   *
   * @throws {StoreError} If PostgreSQL does not answer or refuses.
   */
  async now(): Promise<number> {
    const { rows: [row] } = await this.#call("now", []);
    return Number(row.now_ms);
  }

  /** Performs a statement, within the time that there is for a call. */
  async #call(name: Exclude<keyof PostgresStatements, "createTable">, values: (number | string)[]) {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new StoreError(LATE)), CALL_MS);
    });
    try {
      return await Promise.race([this.#perform(name, values), late]);
    } finally {
      clearTimeout(timer);
    }
  }

  /** Performs a statement; again, if what was missing is there now. */
  async #perform(name: keyof PostgresStatements, values: (number | string)[]): Promise<PostgresResult> {
    for (let attempt = 1;; attempt++) {
      const askedMs = performance.now();
      try {
        const result = checkResult(await this.#query(this.#statements[name], values));
        this.#note(result, askedMs);
        return result;
      } catch (error) {
        if (attempt === MAX_ATTEMPTS || !await this.#mend(error)) throw postgresFailure(error);
      }
    }
  }

  /** Mends the cause of a failure, and tells whether it could. */
  async #mend(error: unknown): Promise<boolean> {
    const code = codeOf(error);
    if (code === UNDEFINED_TABLE) {
      await this.#createTable();
      return true;
    }
    if ([INSUFFICIENT_PRIVILEGE, UNDEFINED_FUNCTION].includes(code) && isAboutHistory(messageOf(error))) {
      this.#statements = postgresStatements(this.#table, { hasHistory: false });
      return true;
    }
    return TO_BE_REPEATED.includes(code);
  }

  async #createTable(): Promise<void> {
    const { createTable } = this.#statements;
    try {
      await this.#query(createTable, []);
    } catch (error) {
      const code = codeOf(error);
      if (MADE_MEANWHILE.includes(code)) return;
      const grant = `have somebody who may run: ${createTable}; and grant the user SELECT, INSERT and UPDATE on it`;
      throw postgresFailure(error, code === INSUFFICIENT_PRIVILEGE ? { advice: grant } : {});
    }
  }

  /** Refuses the answer of a standby, and notes the history, unless a later statement has told it. */
  #note({ rows: [{ is_standby, history, revision } = {}] }: PostgresResult, askedMs: number): void {
    if (is_standby === true) {
      throw new StoreError("this PostgreSQL is a standby, whose records may be old: name the primary, or all servers");
    }
    if (typeof history !== "string" || askedMs < this.#historyMs) return;
    this.#history = { id: history, revision: Number(revision) };
    this.#historyMs = askedMs;
  }
}

const LATE = `PostgreSQL did not answer within ${CALL_MS / 1000} s: ` +
  "see whether it runs, and whether its synchronous standbys do, for which it waits";

/** What a query returned, if it is as it should be: it is the program's own. */
function checkResult(result: PostgresResult): PostgresResult {
  const { rows, notices } = result ?? {};
  if (Array.isArray(rows) && rows.length > 0 && Array.isArray(notices)) return result;
  throw new StoreError(
    "the query function of a PostgreSQL store must return { rows, notices }, with all that PostgreSQL sent: got " +
      describe(result),
  );
}
