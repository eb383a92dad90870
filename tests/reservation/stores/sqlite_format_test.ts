/**
 * The format of the SQLite store's file, in literal SQL: what one release writes, every later one must read.
 */
import { assert, assertEquals, assertMatch, assertRejects, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { DatabaseSync } from "node:sqlite";
import { DEFAULT_LAYOUT, IdGenerator, StoreError } from "../../../mod.ts";
import { SqliteReservationStore } from "../../../lib/reservation/stores/sqlite_store.ts";
import { SqliteThreadStore } from "../../../lib/reservation/stores/sqlite_thread_store.ts";
import { TempDir } from "../../../testing/temp_dir.ts";
import { HandClock } from "../../id/hand_clock.ts";
import { recordOf } from "../record_of.ts";

const KEY = "v1 time=37 sequence=17 node=10 order=sequence-node tick_ms=1000 epoch_ms=1577836800000";
const SENTENCE = "37/17/10 sequence-node, ticks of 1000 ms since 2020-01-01T00:00:00.000Z";

const ODD_NAME = 'é"\\ \u0001/x';

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

/** Writes a file of version 1, with the nodes 7 and 8. */
function writeVersion1(path: string, version: number): void {
  using database = new DatabaseSync(path);
  database.exec(`CREATE TABLE reservation (
      node_id INTEGER PRIMARY KEY, mark INTEGER NOT NULL, holder TEXT NOT NULL, layout TEXT NOT NULL
    ) STRICT;
    INSERT INTO reservation VALUES (7, 2000, '', '${SENTENCE}');
    PRAGMA user_version = ${version}`);
  database.prepare("INSERT INTO reservation VALUES (8, ?, ?, ?)").run(2 ** 53 - 1, ODD_NAME, KEY);
}

describe("the file of the SQLite store", () => {
  it("is of version 2: a table with a text for each node", async () => {
    await using temp = await TempDir.make();
    const path = `${temp.path}/store.sqlite`;
    {
      using store = new SqliteReservationStore(path);
      await using ids = await IdGenerator.open({ store, clock, nodeId: 7 });
      assertEquals(ids.nodeId, 7);
    }
    assertEquals(query(path, "PRAGMA user_version"), [{ user_version: 2 }]);
    assertEquals(query(path, "PRAGMA journal_mode"), [{ journal_mode: "wal" }]);
    const [{ node_id, record }] = query(path, "SELECT node_id, record FROM reservation");
    const { beat, holder, ...rest } = JSON.parse(`${record}`);
    assertEquals([node_id, rest], [7, { mark: 1001, writtenMs: clock.now(), layout: KEY, info: {} }]);
    assertMatch(holder, /^\/[0-9a-f]{32}$/);
    assert(beat >= 2);
    assertEquals(query(path, "SELECT name, type, \"notnull\", pk FROM pragma_table_info('reservation')"), [
      { name: "node_id", type: "INTEGER", notnull: 0, pk: 1 },
      { name: "record", type: "TEXT", notnull: 1, pk: 0 },
    ]);
  });

  for (const version of [0, 1]) {
    it(`is read as releases wrote it that knew version ${version}, and becomes version 2`, async () => {
      await using temp = await TempDir.make();
      const path = `${temp.path}/store.sqlite`;
      writeVersion1(path, version);
      {
        using store = new SqliteReservationStore(path);
        using other = new SqliteReservationStore(path);
        const text = `{"mark":2000,"beat":0,"holder":"","layout":"${SENTENCE}","info":{}}`;
        const odd = { mark: 2 ** 53 - 1, beat: 0, holder: ODD_NAME, layout: KEY, info: {} };
        assertEquals([await store.read(7), await other.read(7)], [text, text]);
        assertEquals(await recordOf(store, 8), odd);
        await (await IdGenerator.open({ store, clock, nodeId: 7 })).close();
      }
      assertEquals(query(path, "PRAGMA user_version"), [{ user_version: 2 }]);
      assertEquals(query(path, "SELECT name FROM sqlite_schema"), [{ name: "reservation" }]);
      const [{ record }] = query(path, "SELECT record FROM reservation WHERE node_id = 7");
      assertMatch(`${record}`, /^\{"mark":2000,"beat":\d+,"holder":"\/[0-9a-f]{32}","writtenMs":\d+,"layout":"v1 /);
    });
  }

  it("is left as it was if its migration fails half-way", async () => {
    await using temp = await TempDir.make();
    const path = `${temp.path}/store.sqlite`;
    writeVersion1(path, 1);
    execute(path, "CREATE TABLE reservation_1 (x)"); // in the way
    assertThrows(() => new SqliteReservationStore(path), StoreError, "reservation_1");
    assertEquals(query(path, "PRAGMA user_version"), [{ user_version: 1 }]);
    assertEquals(query(path, "SELECT mark FROM reservation WHERE node_id = 7"), [{ mark: 2000 }]);
    execute(path, "DROP TABLE reservation_1");
    using store = new SqliteReservationStore(path);
    assertEquals((await recordOf(store, 7)).mark, 2000);
  });

  it("is left alone if it is of a later version", async () => {
    await using temp = await TempDir.make();
    const path = `${temp.path}/store.sqlite`;
    execute(path, "CREATE TABLE later (x); PRAGMA user_version = 3");
    const message = `the reservation store ${path} cannot be used: its format is version 3, and this release of ` +
      "global-id knows version 2: run the release that wrote it, or a later one, or use another file and another node id";
    assertThrows(() => new SqliteReservationStore(path), StoreError, message);
    await assertRejects(() => SqliteThreadStore.open(path), StoreError, message);
    assertEquals(query(path, "SELECT name FROM sqlite_schema"), [{ name: "later" }]);
    assertEquals(query(path, "PRAGMA journal_mode"), [{ journal_mode: "delete" }]);
  });
});
