import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { DatabaseSync } from "node:sqlite";
import { MemoryReservationStore, type Reservation, type ReservationStore, StoreError } from "../../../mod.ts";
import { SqliteReservationStore } from "../../../lib/reservation/stores/sqlite_store.ts";
import { SqliteThreadStore } from "../../../lib/reservation/stores/sqlite_thread_store.ts";
import { TempDir } from "../../../testing/temp_dir.ts";

const A: Reservation = { mark: 5, holder: "a", layout: "x" };
const B: Reservation = { mark: 9, holder: "b", layout: "x" };

/** Runs a test on an empty store of each kind. */
function onEveryStore(what: string, test: (store: ReservationStore) => Promise<void>) {
  it(`memory: ${what}`, () => test(new MemoryReservationStore()));
  it(`SQLite: ${what}`, async () => {
    await using temp = await TempDir.make();
    using store = new SqliteReservationStore(`${temp.path}/store.sqlite`);
    await test(store);
  });
  it(`SQLite in a thread: ${what}`, async () => {
    await using temp = await TempDir.make();
    await using store = await SqliteThreadStore.open(`${temp.path}/store.sqlite`);
    await test(store);
  });
}

describe("a reservation store", () => {
  onEveryStore("has nothing on record for a new node, and a record a node", async (store) => {
    assertEquals(await store.read(1), undefined);
    assert(await store.compareAndSet(1, undefined, A));
    assert(await store.compareAndSet(2, undefined, B));
    assertEquals([await store.read(1), await store.read(2), await store.read(3)], [A, B, undefined]);
  });

  onEveryStore("changes a record only if it is as expected, in every field", async (store) => {
    assert(!await store.compareAndSet(1, A, B));
    assert(await store.compareAndSet(1, undefined, A));
    assert(!await store.compareAndSet(1, undefined, B));
    for (const other of [{ ...A, mark: 6 }, { ...A, holder: "c" }, { ...A, layout: "y" }, B]) {
      assert(!await store.compareAndSet(1, other, B));
    }
    assertEquals(await store.read(1), A);
    assert(await store.compareAndSet(1, { ...A }, B));
    assertEquals(await store.read(1), B);
  });

  onEveryStore("holds marks as large as ticks get", async (store) => {
    const last = { ...A, mark: Number.MAX_SAFE_INTEGER };
    await store.compareAndSet(1, undefined, last);
    assertEquals(await store.read(1), last);
    assert(await store.compareAndSet(1, last, B));
  });
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
    assert(!await second.compareAndSet(1, A, { ...A, mark: 7 }));
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
