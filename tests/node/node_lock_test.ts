import { assert, assertEquals, assertRejects } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { NodeLock } from "../../lib/node/node_lock.ts";
import { TempDir } from "../../testing/temp_dir.ts";
import { within } from "../../testing/within.ts";

const SHARED = false;

/** Locks the workers' lock file, until the file is closed. */
async function lockAsWorker(path: string): Promise<Deno.FsFile> {
  const file = await Deno.open(path, { read: true });
  assert(await file.tryLock(SHARED));
  return file;
}

function namesIn(dir: string): string[] {
  return [...Deno.readDirSync(dir)].map(({ name }) => name).sort();
}

async function isLockable(path: string): Promise<boolean> {
  using file = await Deno.open(path, { read: true });
  return await file.tryLock(SHARED);
}

describe("NodeLock", () => {
  it("has one holder at a time, and names it to the next", async () => {
    await using temp = await TempDir.make();
    const dir = temp.path;
    {
      using lock = await NodeLock.open(dir, 7);
      assertEquals([await lock.holder(), await lock.tryAcquire()], ["unknown", true]);
      await lock.writePid();
      using next = await NodeLock.open(dir, 7);
      assertEquals([await next.tryAcquire(), await next.holder()], [false, `${Deno.pid}`]);
      using other = await NodeLock.open(dir, 8);
      assertEquals([await other.tryAcquire(), other.workersPath], [true, `${dir}/node-8.workers.lock`]);
    }
    using again = await NodeLock.open(dir, 7);
    assertEquals([await again.tryAcquire(), await again.holder()], [true, "unknown"]);
  });

  it("has a file that names its holder, is complete and locked, and goes before the lock is released", async () => {
    await using temp = await TempDir.make();
    const path = `${temp.path}/node-7.pid`;
    await Deno.writeTextFile(path, "1\n"); // what a holder that was killed has left
    const lock = await NodeLock.open(temp.path, 7);
    await lock.tryAcquire();
    await lock.writePid();
    assertEquals(await Deno.readTextFile(path), `${Deno.pid}\n`);
    assert(!await isLockable(path));
    assertEquals(namesIn(temp.path), ["node-7.lock", "node-7.pid", "node-7.workers.lock"]);

    const next = await NodeLock.open(temp.path, 7);
    assert(!await next.tryAcquire());
    next[Symbol.dispose]();
    assertEquals(await Deno.readTextFile(path), `${Deno.pid}\n`);
    lock[Symbol.dispose]();
    assertEquals(namesIn(temp.path), ["node-7.lock", "node-7.workers.lock"]);
  });

  it("follows no link where that file is to be", async () => {
    await using temp = await TempDir.make();
    const other = `${temp.path}/other`;
    await Deno.writeTextFile(other, "what is in it");
    for (const name of ["node-7.pid", "node-7.pid.new"]) {
      const { success } = await new Deno.Command("ln", { args: ["-s", other, `${temp.path}/${name}`] }).output();
      assert(success);
    }
    using lock = await NodeLock.open(temp.path, 7);
    assertEquals(await lock.holder(), "unknown");
    await lock.writePid();
    assertEquals([await Deno.readTextFile(other), await lock.holder()], ["what is in it", `${Deno.pid}`]);
  });

  it("names no holder that is no process id", async () => {
    await using temp = await TempDir.make();
    using lock = await NodeLock.open(temp.path, 7);
    for (const text of ["", "0x10\n", "12", "1 2\n", "\x1b[2J\n", "7\n".padEnd(20_000, "7\n"), "9".repeat(17)]) {
      await Deno.writeTextFile(`${temp.path}/node-7.pid`, text);
      assertEquals(await lock.holder(), "unknown", text.slice(0, 20));
    }
  });

  it("has no such file if it cannot be written, rather than an earlier holder's", async () => {
    await using temp = await TempDir.make();
    await Deno.writeTextFile(`${temp.path}/node-7.pid`, "1\n");
    await Deno.mkdir(`${temp.path}/node-7.pid.new/full`, { recursive: true });
    using lock = await NodeLock.open(temp.path, 7);
    assert(await lock.tryAcquire());
    await assertRejects(() => lock.writePid());
    assertEquals(await lock.holder(), "unknown");
  });

  it("is not acquired by a process that only opens it", async () => {
    await using temp = await TempDir.make();
    using _looking = await NodeLock.open(temp.path, 7);
    using lock = await NodeLock.open(temp.path, 7);
    assert(await lock.tryAcquire());
  });

  it("is acquired once its holder releases it, unless the signal aborts the wait", async () => {
    await using temp = await TempDir.make();
    const before = await NodeLock.open(temp.path, 7);
    await before.tryAcquire();
    using next = await NodeLock.open(temp.path, 7);
    let isAcquired = false;
    const taking = next.acquire(new AbortController().signal).then(() => isAcquired = true);
    using inVain = await NodeLock.open(temp.path, 7);
    const needless = new AbortController();
    const waiting = inVain.acquire(needless.signal);
    needless.abort();
    await within("the wait is aborted", waiting);
    assert(!isAcquired);
    before[Symbol.dispose]();
    await within("the next one acquires it", taking);
    assert(!await inVain.tryAcquire());
  });

  it("waits for the workers of an earlier holder, up to a time limit", async () => {
    await using temp = await TempDir.make();
    using lock = await NodeLock.open(temp.path, 7);
    assert(await lock.workersEnded(0));
    const workers = [await lockAsWorker(lock.workersPath), await lockAsWorker(lock.workersPath)];
    assert(!await lock.workersEnded(0));
    workers[0].close();
    assert(!await lock.workersEnded(30));
    const waiting = lock.workersEnded(60_000);
    workers[1].close();
    assert(await within("there are none", waiting));
    (await lockAsWorker(lock.workersPath)).close(); // it is free for the next ones
  });
});
