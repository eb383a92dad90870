import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { DatabaseSync } from "node:sqlite";
import { StoreError } from "../../../mod.ts";
import { SqliteReservationStore } from "../../../lib/reservation/stores/sqlite_store.ts";
import { SqliteThreadStore } from "../../../lib/reservation/stores/sqlite_thread_store.ts";
import { TempDir } from "../../../testing/temp_dir.ts";
import { within } from "../../../testing/within.ts";

const A = '{"mark":5}';
const B = '{"mark":9}';

/** Longer than any test: a request waits for the lock until the test takes it away. */
const FOREVER_MS = 600_000;

/** A transaction of another connection, which keeps all others from writing as long as it lasts. */
class Lock implements Disposable {
  readonly #database: DatabaseSync;

  constructor(path: string) {
    this.#database = new DatabaseSync(path);
    this.#database.exec("BEGIN IMMEDIATE");
  }

  release() {
    if (this.#database.isOpen) this.#database.close();
  }

  [Symbol.dispose]() {
    this.release();
  }
}

/** Whether a promise is settled, asked at any time. */
function watch(promise: Promise<unknown>): { isSettled: boolean } {
  const watched = { isSettled: false };
  const settle = () => void (watched.isSettled = true);
  promise.then(settle, settle);
  return watched;
}

const messageOf = (error: unknown) => (error as Error).message;

/** A file of the database, made by a store that is closed again. */
async function makeStore(path: string): Promise<void> {
  using store = new SqliteReservationStore(path);
  await store.compareAndSet(1, undefined, A);
}

describe("SqliteThreadStore", () => {
  it("shares the file with stores of other threads, and leaves nothing but the file behind", async () => {
    await using temp = await TempDir.make();
    const path = `${temp.path}/store.sqlite`;
    await makeStore(path);
    {
      await using store = await SqliteThreadStore.open(path);
      using other = new SqliteReservationStore(path);
      assertEquals(await other.read(1), A);
      assert(await store.compareAndSet(1, A, B));
      assertEquals(await other.read(1), B);
    }
    assertEquals((await Array.fromAsync(Deno.readDir(temp.path))).map(({ name }) => name), ["store.sqlite"]);
  });

  it("opens a path of any characters", async () => {
    await using temp = await TempDir.make();
    const path = `${temp.path}/"it's" \`\${x}\` #1?%20 \\ é.sqlite`;
    await makeStore(path);
    await using store = await SqliteThreadStore.open(path);
    assertEquals(await store.read(1), A);
  });

  it("refuses what the store of this thread refuses, with the same words", async () => {
    await using temp = await TempDir.make();
    const noDatabase = `${temp.path}/text`;
    await Deno.writeTextFile(noDatabase, "no database, but long enough to have been one. ".repeat(100));
    for (const path of [noDatabase, `${temp.path}/none/store.sqlite`, temp.path]) {
      const expected = assertThrows(
        () => new SqliteReservationStore(path),
        StoreError,
        `store ${path} cannot be used: `,
      );
      assertEquals(messageOf(await assertRejects(() => SqliteThreadStore.open(path), StoreError)), expected.message);
    }
  });

  it("carries requests out in the order in which they were made", async () => {
    await using temp = await TempDir.make();
    await using store = await SqliteThreadStore.open(`${temp.path}/store.sqlite`);
    const marks = Array.from({ length: 40 }, (_, mark) => `{"mark":${mark}}`);
    const answers = marks.flatMap((next, i) => [store.compareAndSet(1, marks[i - 1], next), store.read(1)]);
    assertEquals(await Promise.all(answers), marks.flatMap((next) => [true, next]));
  });

  it("leaves the event loop alone while the file is locked, and goes on when it no longer is", async () => {
    await using temp = await TempDir.make();
    const path = `${temp.path}/store.sqlite`;
    await using store = await SqliteThreadStore.open(path, FOREVER_MS);
    using lock = new Lock(path);
    const change = store.compareAndSet(1, undefined, A);
    const watched = watch(change);
    for (let firings = 0; firings < 100; firings++) {
      await new Promise((resolve) => setTimeout(resolve, 1));
      assert(!watched.isSettled, "the file is locked, and yet there is an answer");
    }
    lock.release();
    assert(await within("the change is made", change));
  });

  it("changes nothing with requests that are late", async () => {
    await using temp = await TempDir.make();
    const path = `${temp.path}/store.sqlite`;
    await makeStore(path);
    await using store = await SqliteThreadStore.open(path, FOREVER_MS);
    using lock = new Lock(path);
    const answers = [6, 7, 8].map((mark) => store.compareAndSet(1, A, `{"mark":${mark}}`));
    lock.release();
    assertEquals(await within("the answers", Promise.all(answers)), [true, false, false]);
    assertEquals(await store.read(1), '{"mark":6}');
  });

  it("tells that the file is locked, in the words of SQLite, and works again after it", async () => {
    await using temp = await TempDir.make();
    const path = `${temp.path}/store.sqlite`;
    await using store = await SqliteThreadStore.open(path, 1);
    {
      using _lock = new Lock(path);
      await assertRejects(() => store.compareAndSet(1, undefined, A), StoreError, "failed: database is locked");
    }
    assert(await store.compareAndSet(1, undefined, A));
  });

  it("refuses requests when too many wait, and takes them again when those are answered", async () => {
    await using temp = await TempDir.make();
    const path = `${temp.path}/store.sqlite`;
    await using store = await SqliteThreadStore.open(path, FOREVER_MS);
    using lock = new Lock(path);
    const answers = Array.from({ length: 100 }, () => store.compareAndSet(1, undefined, A));
    const error = await assertRejects(() => store.read(1), StoreError);
    assertEquals(error.message, `the reservation store ${path} has not answered 100 requests yet`);
    lock.release();
    assertEquals((await within("the answers", Promise.all(answers))).filter((isSet) => isSet).length, 1);
    assertEquals(await store.read(1), A);
  });

  it("fails what is pending when it is disposed of, and all that comes later", async () => {
    await using temp = await TempDir.make();
    const path = `${temp.path}/store.sqlite`;
    const store = await SqliteThreadStore.open(path, FOREVER_MS);
    const message = `the reservation store ${path} is closed`;
    {
      using _lock = new Lock(path);
      const failed = [store.compareAndSet(1, undefined, A), store.read(1)].map((answer) => assertRejects(() => answer));
      await store[Symbol.asyncDispose]();
      assertEquals((await within("they fail", Promise.all(failed))).map(messageOf), [message, message]);
    }
    assertEquals(messageOf(await assertRejects(() => store.read(1))), message);
    assertEquals(messageOf(await assertRejects(() => store.compareAndSet(1, A, B))), message);
    await store[Symbol.asyncDispose]();
  });

  it("fails what is pending when its thread dies, and all that comes later", async () => {
    await using temp = await TempDir.make();
    const path = `${temp.path}/store.sqlite`;
    const message = new RegExp(`^the reservation store ${path} has lost its thread: .*struck by lightning`);
    using threads = new MortalThreads();
    {
      await using store = await SqliteThreadStore.open(path);
      const failed = [store.read(1), store.compareAndSet(1, undefined, A)].map((answer) => assertRejects(() => answer));
      for (const error of await within("they fail", Promise.all(failed))) {
        assert(message.test(messageOf(error)), `${error}`);
      }
      assert(message.test(messageOf(await assertRejects(() => store.read(1)))));
    }
    threads.dieAtOnce = true;
    const error = await within("it is not opened", assertRejects(() => SqliteThreadStore.open(path)));
    assert(message.test(messageOf(error)), `${error}`);
  });
});

/** As long as it is there, every new thread dies of its first message, or at once. */
class MortalThreads implements Disposable {
  readonly #Worker = globalThis.Worker;
  dieAtOnce = false;

  constructor() {
    const source = () => {
      const die = 'throw new Error("struck by lightning");';
      return this.dieAtOnce
        ? die
        : `self.addEventListener("message", (e) => { e.stopImmediatePropagation(); ${die} });`;
    };
    globalThis.Worker = class extends this.#Worker {
      constructor(url: string | URL, options?: WorkerOptions) {
        super(`${url}`.replace(",", `,${encodeURIComponent(source())}`), options);
      }
    };
  }

  [Symbol.dispose]() {
    globalThis.Worker = this.#Worker;
  }
}
