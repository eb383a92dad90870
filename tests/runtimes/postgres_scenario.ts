/**
 * A program that Node, Bun and Deno can run: it keeps records in PostgreSQL, by a driver of its own. It prints `ok` and
 * the number of records, or fails.
 *
 * Arguments: the port of a server on this machine.
 */
import { argv } from "node:process";
import pg from "pg";
import { type PostgresNotice, type PostgresQuery, PostgresReservationStore, StoreError } from "../../postgres_store.ts";

const COUNT = 20;
const pool = new pg.Pool({ host: "127.0.0.1", port: Number(argv[2]), user: "postgres", database: "postgres", max: 5 });

const query: PostgresQuery = async (text, values) => {
  const client = await pool.connect();
  const notices: PostgresNotice[] = [];
  const note = (notice: PostgresNotice) => void notices.push(notice);
  client.on("notice", note);
  try {
    const { rows } = await client.query(text, values);
    return { rows, notices };
  } finally {
    client.off("notice", note);
    client.release();
  }
};

function check(isTrue: boolean, what: string): void {
  if (!isTrue) throw new Error(what);
}

const table = `test_${crypto.randomUUID().replaceAll("-", "_")}`;
const store = new PostgresReservationStore({ query, table });
await Promise.all(Array.from({ length: COUNT }, async (_, nodeId) => {
  check(await store.read(nodeId) === undefined, "a new table has records");
  check(await store.compareAndSet(nodeId, undefined, "é 😀"), "a new record is not written");
  check(await store.compareAndSet(nodeId, "é 😀", "b"), "a record is not replaced");
  check(!await store.compareAndSet(nodeId, "é 😀", "c"), "a record is replaced that is not as expected");
}));
const records = await store.list();
check([...records.values()].every((text) => text === "b"), "the list is not what was written");
check(Math.abs(await store.now() - Date.now()) < 60_000, "PostgreSQL's time is another one");
check(store.history !== undefined, "there is no history");
await pool.end();
const error = await store.read(1).then(() => undefined, (error) => error);
check(error instanceof StoreError, `where no PostgreSQL is, there is a record or ${error}`);
console.log(`ok ${records.size}`);
