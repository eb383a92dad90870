import { assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { NodeLock } from "../../lib/node/node_lock.ts";
import { TempDir } from "../../testing/temp_dir.ts";
import { within } from "../../testing/within.ts";

/** Takes a worker's share of the lock, until it is closed. */
async function lockAsWorker(path: string): Promise<Deno.FsFile> {
  const file = await Deno.open(path, { read: true });
  assertEquals(await file.tryLock(false), true);
  return file;
}

describe("NodeLock", () => {
  it("is one holder's at a time, and names it to the next", async () => {
    await using temp = await TempDir.make();
    const dir = `${temp.path}/new/directory`;
    {
      using lock = await NodeLock.open(dir, 7);
      assertEquals([await lock.holder(), await lock.tryAcquire()], ["unknown", true]);
      using next = await NodeLock.open(dir, 7);
      assertEquals([await next.tryAcquire(), await next.holder()], [false, `${Deno.pid}`]);
      using other = await NodeLock.open(dir, 8);
      assertEquals([await other.tryAcquire(), other.workersPath], [true, `${dir}/node-8.workers.lock`]);
    }
    using again = await NodeLock.open(dir, 7);
    assertEquals(await again.tryAcquire(), true);
  });

  it("is not taken by whoever only looks at it", async () => {
    await using temp = await TempDir.make();
    using _looking = await NodeLock.open(temp.path, 7);
    using lock = await NodeLock.open(temp.path, 7);
    assertEquals(await lock.tryAcquire(), true);
  });

  it("is waited for until the one before gives it up, or there is no need any more", async () => {
    await using temp = await TempDir.make();
    const before = await NodeLock.open(temp.path, 7);
    await before.tryAcquire();
    using next = await NodeLock.open(temp.path, 7);
    let isTaken = false;
    const taking = next.acquire(new AbortController().signal).then(() => isTaken = true);
    using inVain = await NodeLock.open(temp.path, 7);
    const needless = new AbortController();
    const waiting = inVain.acquire(needless.signal);
    needless.abort();
    await within("it gives up", waiting);
    assertEquals(isTaken, false);
    before[Symbol.dispose]();
    await within("the next one takes it", taking);
    assertEquals(await inVain.tryAcquire(), false);
  });

  it("waits for the workers of an earlier holder, but no longer than it is told", async () => {
    await using temp = await TempDir.make();
    using lock = await NodeLock.open(temp.path, 7);
    assertEquals(await lock.workersEnded(0), true);
    const workers = [await lockAsWorker(lock.workersPath), await lockAsWorker(lock.workersPath)];
    assertEquals(await lock.workersEnded(0), false);
    workers[0].close();
    assertEquals(await lock.workersEnded(30), false);
    const waiting = lock.workersEnded(60_000);
    workers[1].close();
    assertEquals(await within("there are none", waiting), true);
    (await lockAsWorker(lock.workersPath)).close(); // it is free for the next ones
  });
});
