/**
 * The format of the SQLite store's file, in literal SQL: what one release writes, every later one must read.
 */
import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { DatabaseSync } from "node:sqlite";
import { DEFAULT_LAYOUT, IdGenerator, StoreError } from "../../../mod.ts";
import { SqliteReservationStore } from "../../../lib/reservation/stores/sqlite_store.ts";
import { SqliteThreadStore } from "../../../lib/reservation/stores/sqlite_thread_store.ts";
import { TempDir } from "../../../testing/temp_dir.ts";
import { HandClock } from "../../id/hand_clock.ts";

const KEY = "v1 time=37 sequence=17 node=10 order=sequence-node tick_ms=1000 epoch_ms=1577836800000";
const SENTENCE = "37/17/10 sequence-node, ticks of 1000 ms since 2020-01-01T00:00:00.000Z";

/** A clock at the beginning of tick 1000. */
const clock = new HandClock(DEFAULT_LAYOUT.epochMs + 1_000_000);

/** What a query of the file returns. */
function query(path: string, sql: string): Record<string, unknown>[] {
  using database = new DatabaseSync(path);
  return database.prepare(sql).all().map((row) => ({ ...row }));
}

/** Executes SQL on the file, as another release may have. */
function execute(path: string, sql: string): void {
  using database = new DatabaseSync(path);
  database.exec(sql);
}

describe("the file of the SQLite store", () => {
  it("is of version 1: a table with a row for each node", async () => {
    await using temp = await TempDir.make();
    const path = `${temp.path}/store.sqlite`;
    {
      using store = new SqliteReservationStore(path);
      await using ids = await IdGenerator.open({ store, clock, nodeId: 7 });
      assertEquals(ids.nodeId, 7);
    }
    assertEquals(query(path, "PRAGMA user_version"), [{ user_version: 1 }]);
    assertEquals(query(path, "PRAGMA journal_mode"), [{ journal_mode: "wal" }]);
    assertEquals(query(path, "SELECT node_id, mark, holder, layout FROM reservation"), [
      { node_id: 7, mark: 1001, holder: "", layout: KEY },
    ]);
    assertEquals(query(path, "SELECT name, type, \"notnull\", pk FROM pragma_table_info('reservation')"), [
      { name: "node_id", type: "INTEGER", notnull: 0, pk: 1 },
      { name: "mark", type: "INTEGER", notnull: 1, pk: 0 },
      { name: "holder", type: "TEXT", notnull: 1, pk: 0 },
      { name: "layout", type: "TEXT", notnull: 1, pk: 0 },
    ]);
  });

  it("is read as releases wrote it that knew no versions, and becomes version 1", async () => {
    await using temp = await TempDir.make();
    const path = `${temp.path}/store.sqlite`;
    execute(
      path,
      `CREATE TABLE reservation (
        node_id INTEGER PRIMARY KEY, mark INTEGER NOT NULL, holder TEXT NOT NULL, layout TEXT NOT NULL
      ) STRICT;
      INSERT INTO reservation VALUES (7, 2000, '', '${SENTENCE}')`,
    );
    {
      using store = new SqliteReservationStore(path);
      assertEquals(await store.read(7), { mark: 2000, holder: "", layout: SENTENCE });
      await (await IdGenerator.open({ store, clock, nodeId: 7 })).close();
    }
    assertEquals(query(path, "PRAGMA user_version"), [{ user_version: 1 }]);
    assertEquals(query(path, "SELECT * FROM reservation"), [{ node_id: 7, mark: 2000, holder: "", layout: KEY }]);
  });

  it("is left alone if it is of a later version", async () => {
    await using temp = await TempDir.make();
    const path = `${temp.path}/store.sqlite`;
    execute(path, "CREATE TABLE later (x); PRAGMA user_version = 2");
    const message = `the reservation store ${path} cannot be used: its format is version 2, and this release of ` +
      "global-id knows version 1: run the release that wrote it, or a later one, or use another file and another node id";
    assertThrows(() => new SqliteReservationStore(path), StoreError, message);
    await assertRejects(() => SqliteThreadStore.open(path), StoreError, message);
    assertEquals(query(path, "SELECT name FROM sqlite_schema"), [{ name: "later" }]);
    assertEquals(query(path, "PRAGMA journal_mode"), [{ journal_mode: "delete" }]);
  });
});
