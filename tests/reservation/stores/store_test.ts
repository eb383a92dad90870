import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { DatabaseSync } from "node:sqlite";
import { MemoryReservationStore, StoreError } from "../../../mod.ts";
import { SqliteReservationStore } from "../../../lib/reservation/stores/sqlite_store.ts";
import { SqliteThreadStore } from "../../../lib/reservation/stores/sqlite_thread_store.ts";
import { testStore } from "./store_suite.ts";
import { TempDir } from "../../../testing/temp_dir.ts";

const A = '{"mark":5,"beat":1,"holder":"a","layout":"x","info":{}}';
const B = '{"mark":9,"beat":2,"holder":"b","layout":"x","info":{}}';

testStore("memory", (use) => use(new MemoryReservationStore()));
testStore("SQLite", async (use) => {
  await using temp = await TempDir.make();
  using store = new SqliteReservationStore(`${temp.path}/store.sqlite`);
  await use(store);
});
testStore("SQLite in a thread", async (use) => {
  await using temp = await TempDir.make();
  await using store = await SqliteThreadStore.open(`${temp.path}/store.sqlite`);
  await use(store);
});

describe("SqliteReservationStore", () => {
  it("remembers, and is shared by all who open the file", async () => {
    await using temp = await TempDir.make();
    const path = `${temp.path}/store.sqlite`;
    {
      using store = new SqliteReservationStore(path);
      await store.compareAndSet(1, undefined, A);
    }
    using first = new SqliteReservationStore(path);
    using second = new SqliteReservationStore(path);
    assert(await first.compareAndSet(1, A, B));
    assert(!await second.compareAndSet(1, A, A.replace("5", "7")));
    assertEquals(await second.read(1), B);
  });

  it("refuses a file that is not its own, a damaged one, and a directory that is not there", async () => {
    await using temp = await TempDir.make();
    const path = `${temp.path}/store.sqlite`;
    await Deno.writeTextFile(path, "no database, but long enough to have been one. ".repeat(100));
    const error = assertThrows(
      () => new SqliteReservationStore(path),
      StoreError,
      `the reservation store ${path} cannot be used: file is not a database`,
    );
    assertEquals((error.cause as Error).message, "file is not a database");
    assertThrows(() => new SqliteReservationStore(`${temp.path}/none/store.sqlite`), StoreError, "cannot be used: ");
  });

  it("rejects, rather than throws, when it is closed", async () => {
    await using temp = await TempDir.make();
    const store = new SqliteReservationStore(`${temp.path}/store.sqlite`);
    store.close();
    store[Symbol.dispose]();
    await assertRejects(() => store.read(1), StoreError, "store.sqlite is closed");
    await assertRejects(() => store.compareAndSet(1, A, B), StoreError, "store.sqlite is closed");
  });

  it("rejects with what SQLite says, as the cause", async () => {
    await using temp = await TempDir.make();
    const path = `${temp.path}/store.sqlite`;
    using store = new SqliteReservationStore(path);
    using other = new DatabaseSync(path);
    other.exec("DROP TABLE reservation");
    const message = `the reservation store ${path} failed: no such table: reservation`;
    const error = await assertRejects(() => store.read(1), StoreError, message);
    assertEquals((error.cause as Error).message, "no such table: reservation");
  });
});
