import { describe } from "../../base/check.ts";

/** Names that need no escapes between double quotes. PostgreSQL cuts them after 63 characters. */
const NAME = /^[A-Za-z_][A-Za-z0-9_$]{0,62}$/;

/** The functions that tell the history, all of which a database can take from its users. */
const HISTORY_FUNCTIONS = /\bpg_(control_system|walfile_name|current_wal_lsn)\b/;

/** Whether a message is about a function that tells the history. Names are the same in all languages. */
export function isAboutHistory(message: string): boolean {
  return HISTORY_FUNCTIONS.test(message);
}

/**
 * The cluster of databases and its timeline, which is another one after each fail-over and restore; and how much has
 * been written in it, in bytes. A standby cannot say how much.
 */
const HISTORY = `
    (SELECT system_identifier FROM pg_control_system()) || '/' || left(pg_walfile_name(pg_current_wal_lsn()), 8)`;
const REVISION = "pg_current_wal_lsn() - '0/0'";

/**
 * The statements of a store. Each is a transaction of its own, and can be repeated: it then finds its own change.
 *
 * A change is written with `synchronous_commit = on`, and a warning of its commit is sent, whatever the session has:
 * the statement sets both for its own transaction, which the commit is a part of.
 */
export interface PostgresStatements {
  /** Makes the table; no parameters. */
  readonly createTable: string;
  /** Reads the record of node $1: one row, whose record is null if there is none. */
  readonly read: string;
  /** Reads all records: at least one row, whose node_id is null if there is none. */
  readonly list: string;
  /** Writes the first record of node $1, $2, if there is none or just this one; `made` tells whether it did. */
  readonly insert: string;
  /** Replaces the record $2 of node $1 by $3, or $3 by itself; `made` tells whether it did. */
  readonly update: string;
  /** Tells the time in ms since the Unix epoch. */
  readonly now: string;
}

/**
 * Makes the statements for a table.
 *
 * @param table The table's name, which can begin with a schema's and a dot.
 * @param options `hasHistory`: whether the user may read the history.
 * @throws {SyntaxError} If the name needs escapes.
 */
export function postgresStatements(
  table: string,
  { hasHistory }: { readonly hasHistory: boolean },
): PostgresStatements {
  const parts = table.split(".");
  if (parts.length > 2 || !parts.every((part) => NAME.test(part))) {
    throw new SyntaxError(
      `the table of a PostgreSQL store must be NAME or SCHEMA.NAME, of letters, digits and _: got ${describe(table)}`,
    );
  }
  const name = parts.map((part) => `"${part}"`).join(".");
  const unlessStandby = (value: string) => `CASE WHEN pg_is_in_recovery() THEN NULL ELSE ${value} END`;
  const state = `
  state AS MATERIALIZED (SELECT pg_is_in_recovery() AS is_standby,
    ${hasHistory ? unlessStandby(HISTORY) : "NULL"} AS history,
    ${hasHistory ? unlessStandby(REVISION) : "NULL"} AS revision)`;
  const change = (statement: string) => `
WITH made AS (
    ${statement}
    RETURNING set_config('synchronous_commit', 'on', true) || set_config('client_min_messages', 'warning', true) AS settings
  ),${state}
SELECT state.*, (SELECT count(settings) FROM made) AS made FROM state`;
  return {
    createTable: `CREATE TABLE IF NOT EXISTS ${name} (node_id integer PRIMARY KEY, record text COLLATE "C" NOT NULL)`,
    read: `WITH${state}\nSELECT state.*, record FROM state LEFT JOIN ${name} ON node_id = $1`,
    list: `WITH${state}\nSELECT state.*, node_id, record FROM state LEFT JOIN ${name} ON true`,
    insert: change(`INSERT INTO ${name} AS present (node_id, record) VALUES ($1, $2)
    ON CONFLICT (node_id) DO UPDATE SET record = excluded.record WHERE present.record = excluded.record`),
    update: change(`UPDATE ${name} SET record = $3 WHERE node_id = $1 AND record IN ($2, $3)`),
    now: "SELECT extract(epoch FROM clock_timestamp()) * 1000 AS now_ms",
  };
}
