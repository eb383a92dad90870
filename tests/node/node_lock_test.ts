import { assertEquals, assertRejects } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { lockNode, NodeLockError } from "../../lib/node/node_lock.ts";
import { TempDir } from "../temp_dir.ts";
import { until } from "../within.ts";

describe("lockNode", () => {
  it("lets one holder have a node, and names it to the next", async () => {
    await using temp = await TempDir.make();
    const dir = temp.path;
    {
      using _lock = await lockNode(`${dir}/new/directory`, 7);
      const message =
        `node 7 is being served already, by process ${Deno.pid}: stop that one, or choose another --node-id`;
      await assertRejects(() => lockNode(`${dir}/new/directory`, 7), NodeLockError, message);
      using other = await lockNode(`${dir}/new/directory`, 8);
      assertEquals(other.workersPath, `${dir}/new/directory/node-8.workers.lock`);
    }
    using _again = await lockNode(`${dir}/new/directory`, 7);
  });

  it("waits for the workers of an earlier holder", async () => {
    await using temp = await TempDir.make();
    const dir = temp.path;
    const worker = await Deno.open(`${dir}/node-7.workers.lock`, { write: true, create: true });
    await worker.lock(false);
    let locked = false;
    const waiting = lockNode(dir, 7).then((lock) => (locked = true, lock));
    // The node itself is held from the beginning, so that nobody else waits for the same workers.
    await until("the first one holds the node", () => Deno.stat(`${dir}/node-7.pid`).then(() => true, () => false));
    await assertRejects(() => lockNode(dir, 7), NodeLockError, "node 7 is being served already");
    assertEquals(locked, false);
    worker.close();
    using _lock = await waiting;
  });
});
