import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { cString, openLibc } from "../../lib/libc/libc.ts";
import type { NodeHold } from "../../lib/node/hold_node.ts";
import { PoolError } from "../../lib/node/pool_header.ts";
import { ForeignFileError } from "../../lib/node/own_file.ts";
import { POOL_BYTES } from "../../lib/node/pool_memory.ts";
import { IdLayout, LayoutMismatchError, NodeHeldError, type ReservationStore } from "../../mod.ts";
import { FlakyStore } from "../reservation/flaky_store.ts";
import { namedRecordOf, overwrite } from "../reservation/record_of.ts";
import { TempDir } from "../../testing/temp_dir.ts";
import { Machine } from "./machine.ts";
import { acquire } from "./pools.ts";

const NODE = 7;
/** Ticks of 1 s, with 16 ids each. */
const LAYOUT = new IdLayout({ timeBits: 20, sequenceBits: 4, nodeBits: 3, tickMs: 1000, epochMs: 0 });
const layout = LAYOUT.key;
/** How many ticks past the clock's the mark is: with a pool that lasts, and without one. */
const AHEAD = 16;
const SHORT_AHEAD = 4;

/** Two machines whose clocks are in tick 100, and the store that they share. */
async function setUp({ wrap = (store: ReservationStore) => store, isBehindAllowed = false } = {}) {
  const temp = await TempDir.make();
  const store = new FlakyStore();
  const shared = { store: wrap(store), layout: LAYOUT, nodeId: NODE, isBehindAllowed };
  const [a, b] = ["a", "b"].map((name) => new Machine(name, `${temp.path}/${name}`, 100_000, shared));
  return {
    ...{ dir: temp.path, store, a, b },
    record: async () => {
      const { mark, holder } = await namedRecordOf(store, NODE);
      return [mark, holder];
    },
    [Symbol.asyncDispose]: async () => {
      a[Symbol.dispose]();
      b[Symbol.dispose]();
      await temp[Symbol.asyncDispose]();
    },
  };
}

/** Ends a hold as a supervisor does; returns whether the store has acknowledged the release. */
async function end({ pool, holder }: NodeHold): Promise<boolean> {
  pool.close();
  return await holder.release(pool.firstUnusedTick).then(() => true, () => false);
}

const pathless = ({ whyFromMark, whyNotLasting }: NodeHold) => ({ whyFromMark, whyNotLasting });
const LASTING = { whyFromMark: undefined, whyNotLasting: undefined };
const HELD_ELSEWHERE = { whyFromMark: "the node has been held elsewhere since", whyNotLasting: undefined };

describe("holdNode, with nothing on record", () => {
  it("begins after the clock's tick, and reserves so far ahead that the store need not answer for 10 s", async () => {
    await using world = await setUp();
    const hold = await world.a.hold();
    assertEquals(pathless(hold), LASTING);
    assertEquals([hold.pool.holder, hold.pool.isOwned, hold.pool.mark], ["a-1", true, 100 + AHEAD]);
    assertEquals(await world.record(), [100 + AHEAD, "a-1"]);
    assertEquals([acquire(hold.pool, 100, 1), acquire(hold.pool, 101, 1)], [[100, 16, 16], [101, 0, 1]]);
  });

  it("begins at the end of a pool whose record is gone: its mark or, if closed, its first unused tick", async () => {
    await using world = await setUp();
    const first = await world.a.hold();
    acquire(first.pool, 101, 3);
    world.a.clock.ms += 10_000;
    const second = await world.a.hold({ store: new FlakyStore() });
    assertEquals(second.whyFromMark, "the store has no record of it");
    assertEquals(second.pool.position, { tick: first.pool.mark - 1, taken: 16 });
    acquire(second.pool, second.holder.firstTick, 3);
    assert(second.pool.close());
    const third = await world.a.hold({ store: new FlakyStore() });
    assertEquals(third.pool.position, { tick: second.holder.firstTick, taken: 16 });
  });

  it("writes no record and puts no pool in place if the store does not answer", async () => {
    await using world = await setUp();
    world.store.isOut = true;
    await assertRejects(() => world.a.hold(), Error, "out of reach");
    world.store.isOut = false;
    world.store.fates.push("before");
    await assertRejects(() => world.a.hold(), Error, "out of reach");
    await assertRejects(() => world.a.join(), PoolError, "it has no pool that others can find");
    assertEquals(await world.store.read(NODE), undefined);
  });
});

describe("holdNode, on a machine whose memory is copied", () => {
  /** Makes machine b the copy of a, with a pool of which 3 ids of tick 101 are taken. */
  async function copy(world: Awaited<ReturnType<typeof setUp>>): Promise<NodeHold> {
    const original = await world.a.hold();
    acquire(original.pool, 101, 3);
    await Deno.copyFile(world.a.poolPath, world.b.poolPath);
    await Deno.chmod(world.b.poolPath, 0o600);
    return original;
  }

  it("goes on from the record that both have seen, until one of them writes: that one has the node", async () => {
    for (const isOriginalFirst of [true, false]) {
      await using world = await setUp();
      const original = await copy(world);
      const twin = await world.b.hold({ boot: world.a.boot });
      assertEquals(pathless(twin), LASTING);
      for (const clock of [world.a.clock, world.b.clock]) clock.ms += 1000;
      const [first, second] = isOriginalFirst ? [original, twin] : [twin, original];
      await first.holder.renew(-1);
      await assertRejects(() => second.holder.renew(-1), NodeHeldError);
      assertEquals([first.holder.mark, second.holder.mark], [101 + AHEAD, 100 + AHEAD]);
    }
  });

  it("begins at the mark once the other one has written, though that one has the same name", async () => {
    await using world = await setUp();
    const original = await copy(world);
    world.a.clock.ms += 1000;
    await original.holder.renew(-1);
    const twin = await world.b.hold({ boot: world.a.boot });
    assertEquals(pathless(twin), HELD_ELSEWHERE);
    assertEquals([twin.pool.holder, twin.holder.firstTick], ["b-1", 101 + AHEAD]);
    await assertRejects(() => original.holder.renew(-1), NodeHeldError);
  });

  it("does not join a server that the other one has written over", async () => {
    await using world = await setUp();
    const original = await copy(world);
    world.a.clock.ms += 1000;
    await original.holder.renew(-1);
    const joining = world.b.join({ boot: world.a.boot });
    await assertRejects(() => joining, PoolError, "it does not hold the node any more");
  });
});

describe("joinNode, while the running server renews", () => {
  /** Has the running server renew between the store's answer to a read and the moment at which that is heard. */
  function renewingOnRead(
    world: Awaited<ReturnType<typeof setUp>>,
    running: NodeHold,
    times: number,
  ): ReservationStore {
    return {
      read: async (nodeId) => {
        const found = await world.store.read(nodeId);
        if (times-- > 0) {
          for (const clock of [world.a.clock]) clock.ms += 1000;
          await running.holder.renew(-1);
        }
        return found;
      },
      compareAndSet: (...args) => world.store.compareAndSet(...args),
    };
  }

  for (const times of [1, 5]) {
    it(`joins, although the record is another one by the time that it is heard (${times})`, async () => {
      await using world = await setUp();
      const running = await world.a.hold();
      const joined = await world.a.join({ store: renewingOnRead(world, running, times) });
      assertEquals(joined.holder.mark, 100 + AHEAD, "what it has only read does not count");
      await joined.holder.renew(-1);
      assertEquals(joined.holder.mark, 100 + times + AHEAD);
    });

    it(`keeps the node, although the same happens to its own renewal (${times})`, async () => {
      await using world = await setUp();
      const running = await world.a.hold();
      const joined = await world.a.join({ store: renewingOnRead(world, running, times + 1) });
      await running.holder.renew(-1);
      await joined.holder.renew(-1);
      assertEquals(joined.holder.mark, (await world.record())[0]);
    });
  }
});

describe("holdNode, after a renewal whose reply got lost", () => {
  for (const fate of ["after", "late"] as const) {
    it(`goes on under the renewal, which the pool has noted (${fate})`, async () => {
      await using world = await setUp();
      const before = await world.a.hold();
      world.a.clock.ms += 1000;
      world.store.fates.push(fate);
      await assertRejects(() => before.holder.renew(-1));
      if (fate === "late") assert(await world.store.arrive());
      const hold = await world.a.hold();
      assertEquals([pathless(hold), hold.holder.mark], [LASTING, 100 + AHEAD]);
      await hold.holder.renew(-1);
      assertEquals([hold.holder.mark, await world.record()], [101 + AHEAD, [101 + AHEAD, "a-1"]]);
    });
  }
});

describe("holdNode, with a pool whose holder is on record", () => {
  it("goes on exactly where the pool is, and writes no record", async () => {
    await using world = await setUp();
    const before = await world.a.hold();
    acquire(before.pool, 101, 3);
    const hold = await world.a.hold();
    assertEquals(pathless(hold), LASTING);
    assertEquals([hold.pool.holder, hold.pool.mark, hold.holder.mark], ["a-1", 100 + AHEAD, 100 + AHEAD]);
    assertEquals([await world.record(), world.store.changes], [[100 + AHEAD, "a-1"], 1]);
    // It is the same pool as that of the one before, and of workers that have outlived it.
    assertEquals([acquire(hold.pool, 101, 1), acquire(before.pool, 101, 1), acquire(hold.pool, 101, 1)], [
      [101, 3, 4],
      [101, 4, 5],
      [101, 5, 6],
    ]);
    assertEquals([before.pool.isOwned, hold.pool.isOwned], [false, true]);
  });

  it("learns a mark whose reply was lost, and one that is written late", async () => {
    await using world = await setUp();
    const before = await world.a.hold();
    world.a.clock.ms += 1000;
    world.store.fates.push("after");
    await assertRejects(() => before.holder.renew(-1));
    const hold = await world.a.hold();
    assertEquals([before.pool.mark, hold.pool.mark, hold.holder.mark], [116, 116, 116]);
    await hold.holder.renew(-1);
    assertEquals(hold.holder.mark, 117);
    hold.pool.extend(hold.holder.mark);
    world.a.clock.ms += 1000;
    world.store.fates.push("late");
    await assertRejects(() => hold.holder.renew(-1));
    const next = await world.a.hold();
    assertEquals([next.holder.mark, await world.store.arrive()], [117, true]);
    world.a.clock.ms += 1000;
    await next.holder.renew(-1);
    assertEquals([next.holder.mark, await world.record()], [119, [119, "a-1"]]);
  });

  it("goes on wherever the clock is", async () => {
    await using world = await setUp();
    acquire((await world.a.hold()).pool, 101, 3);
    world.a.clock.ms = 1000;
    assertEquals((await world.a.hold()).pool.position, { tick: 101, taken: 3 });
    world.a.clock.ms = 1_000_000_000;
    const hold = await world.a.hold();
    assertEquals([hold.pool.position, hold.pool.mark], [{ tick: 101, taken: 3 }, 100 + AHEAD]);
  });
});

describe("holdNode, with a closed pool", () => {
  it("goes on in the same tick if the node was released with the pool's first unused tick", async () => {
    await using world = await setUp();
    const before = await world.a.hold();
    acquire(before.pool, 101, 3);
    assertEquals([await end(before), await world.record()], [true, [102, ""]]);
    world.a.clock.ms += 1000;
    const hold = await world.a.hold();
    assertEquals(pathless(hold), LASTING);
    assertEquals([hold.pool.holder, hold.pool.position], ["a-2", { tick: 101, taken: 3 }]);
    assertEquals(await world.record(), [101 + AHEAD, "a-2"]);
    assertEquals([acquire(hold.pool, 101, 1), acquire(before.pool, 101, 1)], [[101, 3, 4], [101, 0, 0]]);
  });

  it("goes on at the first tick if nothing was taken", async () => {
    await using world = await setUp();
    await end(await world.a.hold());
    assertEquals(await world.record(), [101, ""]);
    const hold = await world.a.hold();
    await end(hold);
    assertEquals([hold.pool.position, await world.record()], [{ tick: 100, taken: 16 }, [101, ""]]);
  });

  it("goes on in the same tick if the release has not arrived yet, and makes it fail", async () => {
    await using world = await setUp();
    const before = await world.a.hold();
    acquire(before.pool, 101, 3);
    world.store.fates.push("late");
    assert(!await end(before));
    const hold = await world.a.hold();
    assertEquals(pathless(hold), LASTING);
    assertEquals([hold.pool.holder, hold.pool.position], ["a-2", { tick: 101, taken: 3 }]);
    assertEquals(acquire(hold.pool, 102, 1), [102, 0, 1]);
    assert(!await world.store.arrive(), "it would give back ids that are used by now");
    assertEquals(await world.record(), [100 + AHEAD, "a-2"]);
    assertEquals((await world.b.hold()).pool.position, { tick: 99 + AHEAD, taken: 16 });
  });

  it("goes on in the same tick if the release arrives at the same moment", async () => {
    const meanwhile: (() => Promise<unknown>)[] = [];
    await using world = await setUp({ wrap: (store) => new Interrupted(store, () => meanwhile.pop()) });
    const before = await world.a.hold();
    acquire(before.pool, 101, 3);
    world.store.fates.push("late");
    await end(before);
    meanwhile.push(() => world.store.arrive());
    const hold = await world.a.hold();
    assertEquals(pathless(hold), LASTING);
    assertEquals([hold.pool.position, await world.record()], [{ tick: 101, taken: 3 }, [100 + AHEAD, "a-2"]]);
  });

  it("begins at the mark if another machine has held the node since, though that used none of its ticks", async () => {
    await using world = await setUp();
    const before = await world.a.hold();
    acquire(before.pool, 101, 3);
    await end(before);
    await end(await world.b.hold());
    const hold = await world.a.hold();
    assertEquals([pathless(hold), hold.pool.position], [HELD_ELSEWHERE, { tick: 101, taken: 16 }]);
  });

  it("begins at the mark if the new pool cannot replace the closed one, and so does the next one", async () => {
    await using world = await setUp();
    const before = await world.a.hold();
    acquire(before.pool, 101, 3);
    await end(before);
    const draft = `${world.a.poolPath}.new`;
    await Deno.mkdir(draft);
    const placeless = await world.a.hold();
    assertMatch(placeless.whyNotLasting ?? "", /cannot make/);
    assertEquals(placeless.pool.position, { tick: 101, taken: 16 });
    await end(placeless);
    await Deno.remove(draft);
    const hold = await world.a.hold();
    assertEquals([pathless(hold), hold.pool.position], [HELD_ELSEWHERE, { tick: 101, taken: 16 }]);
  });

  it("begins at the mark if another machine has held the node since and used some of its ticks", async () => {
    await using world = await setUp();
    const before = await world.a.hold();
    acquire(before.pool, 101, 3);
    await end(before);
    const elsewhere = await world.b.hold();
    acquire(elsewhere.pool, 103, 1);
    await end(elsewhere);
    assertEquals(await world.record(), [104, ""]);
    const hold = await world.a.hold();
    assertEquals([pathless(hold), hold.pool.position], [HELD_ELSEWHERE, { tick: 103, taken: 16 }]);
  });

  it("begins at the mark if another machine holds the node now", async () => {
    await using world = await setUp();
    const before = await world.a.hold();
    before.pool.close();
    await world.b.hold();
    assertEquals(pathless(await world.a.hold()), HELD_ELSEWHERE);
  });
});

describe("holdNode, without a pool that matches the record", () => {
  it("begins at the mark on a machine that never had the node", async () => {
    await using world = await setUp();
    const before = await world.a.hold();
    acquire(before.pool, 101, 3);
    const hold = await world.b.hold();
    assertEquals(pathless(hold), { ...LASTING, whyFromMark: "there is no pool of it on this machine" });
    assertEquals([hold.pool.holder, hold.pool.position], ["b-1", { tick: 99 + AHEAD, taken: 16 }]);
    // The holder before keeps the ticks that it has reserved.
    assertEquals([acquire(before.pool, 101, 1), acquire(before.pool, 100 + AHEAD, 1)], [[101, 3, 4], [
      100 + AHEAD,
      0,
      0,
    ]]);
  });

  for (const isOver of [false, true]) {
    it(`begins at the mark if another machine ${isOver ? "has held" : "holds"} the node`, async () => {
      await using world = await setUp();
      const before = await world.a.hold();
      const elsewhere = await world.b.hold();
      if (isOver) await end(elsewhere);
      const hold = await world.a.hold();
      assertEquals([pathless(hold), acquire(before.pool, 101, 1)], [HELD_ELSEWHERE, [101, 0, 1]]);
      assertEquals(hold.pool.position, { tick: hold.holder.firstTick - 1, taken: 16 });
    });
  }

  it("does not go on from an open pool whose holder has released the node: others lease from it", async () => {
    await using world = await setUp();
    const before = await world.a.hold();
    acquire(before.pool, 101, 3);
    await before.holder.release();
    assertEquals([before.pool.isClosed, await world.record()], [false, [100 + AHEAD, ""]]);
    const hold = await world.a.hold();
    assertEquals([pathless(hold), hold.pool.position], [HELD_ELSEWHERE, { tick: 99 + AHEAD, taken: 16 }]);
  });

  it("begins at the mark after a reboot, whatever became of the file", async () => {
    await using world = await setUp();
    const left = await world.a.hold();
    acquire(left.pool, 101, 3);
    world.a.reboot();
    const second = await world.a.hold();
    assertEquals(pathless(second), {
      ...LASTING,
      whyFromMark: "the pool is of boot boot-a-1, and this is boot boot-a-2",
    });
    assertEquals([second.pool.holder, second.pool.position], ["a-2", { tick: 99 + AHEAD, taken: 16 }]);
    await end(second);
    world.a.reboot();
    await Deno.remove(world.a.poolPath);
    const third = await world.a.hold();
    assertEquals(pathless(third), { ...LASTING, whyFromMark: "there is no pool of it on this machine" });
    world.a.reboot();
    await Deno.writeTextFile(world.a.poolPath, "?", { append: true });
    assertEquals(pathless(await world.a.hold()), {
      ...LASTING,
      whyFromMark: `the pool is damaged, or of another version: it has ${POOL_BYTES + 1} bytes, not ${POOL_BYTES}`,
    });
  });

  it("begins at the mark if the pool is damaged, and replaces it", async () => {
    await using world = await setUp();
    const before = await world.a.hold();
    await Deno.writeFile(world.a.poolPath, new Uint8Array(POOL_BYTES));
    assertEquals(pathless(await world.a.hold()), {
      ...LASTING,
      whyFromMark: "the pool is damaged: it does not begin as one",
    });
    assertEquals((await world.a.hold()).whyFromMark, undefined);
    assertEquals(acquire(before.pool, 101, 1), [101, 0, 0], "the pool with the zeros counts as closed");
  });

  it("begins at the mark if the pool is of another node", async () => {
    await using world = await setUp();
    await world.a.hold({ nodeId: 6, name: "six" });
    await world.a.hold({ poolPath: `${world.dir}/other` });
    assertEquals(pathless(await world.a.hold()), {
      ...LASTING,
      whyFromMark: "the pool is of node 6, and this is node 7",
    });
  });

  it("refuses a record of another layout", async () => {
    await using world = await setUp();
    await world.a.hold();
    const other = new IdLayout({ timeBits: 20, sequenceBits: 5, nodeBits: 3, tickMs: 1000, epochMs: 0 });
    await assertRejects(
      () => world.a.hold({ layout: other }),
      LayoutMismatchError,
      "node 7 is on record with the layout",
    );
    assertEquals((await world.a.hold()).whyFromMark, undefined);
  });

  it("reserves ticks while the clock is behind the mark if that is allowed", async () => {
    await using world = await setUp({ isBehindAllowed: true });
    await world.a.hold();
    world.b.clock.ms = 0;
    const hold = await world.b.hold();
    assertEquals([hold.pool.position.tick, hold.pool.mark], [100 + AHEAD, 101 + 2 * AHEAD]);
  });
});

describe("holdNode, if no pool can be put at the path", () => {
  it("serves from a pool without a path, and reserves only as far ahead as the next one can wait", async () => {
    await using world = await setUp();
    const whyNoBoot = "the system does not say which boot this is";
    const hold = await world.a.hold({ boot: undefined });
    assertEquals(pathless(hold), { whyFromMark: undefined, whyNotLasting: whyNoBoot });
    assertEquals(await world.record(), [100 + SHORT_AHEAD, "a-1"]);
    assertEquals(acquire(hold.pool, 101, 1), [101, 0, 1]);
    const next = await world.a.hold({ boot: undefined });
    assertEquals(pathless(next), { whyFromMark: whyNoBoot, whyNotLasting: whyNoBoot });
    assertEquals(pathless(await world.a.hold()), { ...LASTING, whyFromMark: "there is no pool of it on this machine" });
  });

  it("tells why no file can be made", async () => {
    await using world = await setUp();
    const poolPath = `${world.dir}/nowhere/pool`;
    const hold = await world.a.hold({ poolPath });
    const why = `cannot make ${poolPath}.new (probably: No such file or directory)`;
    const need = `a lasting pool needs a tmpfs at ${world.dir}/nowhere, writable and with ${POOL_BYTES} bytes left`;
    const whyNotLasting = `${why} (${need})`;
    assertEquals(pathless(hold), { whyFromMark: undefined, whyNotLasting });
    const next = await world.a.hold({ poolPath });
    assertEquals(pathless(next), { whyFromMark: "there is no pool of it on this machine", whyNotLasting });
    assertEquals(next.pool.position.tick, 99 + SHORT_AHEAD);
  });

  it("neither trusts nor removes a file that is not this user's alone", async () => {
    await using world = await setUp();
    acquire((await world.a.hold()).pool, 101, 3);
    await Deno.chmod(world.a.poolPath, 0o644);
    const why = `${world.a.poolPath} has the mode 100644 instead of 100600: remove it, as its owner or as root`;
    const hold = await world.a.hold();
    assertEquals(pathless(hold), { whyFromMark: why, whyNotLasting: why });
    assertEquals(hold.pool.position, { tick: 99 + AHEAD, taken: 16 });
    await Deno.chmod(world.a.poolPath, 0o600);
    assertEquals(pathless(await world.a.hold()), HELD_ELSEWHERE);
  });
});

describe("holdNode, while other holders claim the node", () => {
  it("tries again if another holder changes the record meanwhile", async () => {
    const meanwhile: (() => Promise<unknown>)[] = [];
    await using world = await setUp({ wrap: (store) => new Interrupted(store, () => meanwhile.pop()) });
    const taken: NodeHold[] = [];
    const claimIt = async () => taken.push(await world.b.hold({ store: world.store }));
    meanwhile.push(claimIt, claimIt);
    const hold = await world.a.hold();
    assertEquals(taken.length, 2);
    assertEquals(taken[1].whyFromMark, undefined);
    assertEquals([hold.pool.holder, hold.pool.position.tick], ["a-1", taken[0].holder.mark - 1]);
  });

  it("throws after three attempts", async () => {
    const names: string[] = [];
    await using world = await setUp({
      wrap: (store) =>
        new Interrupted(store, () => async () => {
          const holder = `other ${names.length}`;
          names.push(holder);
          await overwrite(store, NODE, { mark: 200, layout, holder });
        }),
    });
    await assertRejects(() => world.a.hold(), NodeHeldError, "node 7 was taken by another holder at the same moment");
    assertEquals([names.length, await world.record()], [3, [200, "other 2"]]);
  });

  it("gives the node to one of two machines", async () => {
    await using world = await setUp();
    const holds = await Promise.all([world.a.hold(), world.b.hold()]);
    assertEquals(holds.map(({ pool }) => pool.position.tick).sort(), [100, 99 + AHEAD]);
    const [, holder] = await world.record();
    assertEquals(holds.filter(({ pool }) => pool.holder === holder).length, 1);
    const [loser] = holds.filter(({ pool }) => pool.holder !== holder);
    await assertRejects(() => loser.holder.release(101), NodeHeldError);
  });
});

describe("joinNode", () => {
  it("leases from the pool of the running server, and can own it", async () => {
    await using world = await setUp();
    const old = await world.a.hold();
    acquire(old.pool, 101, 3);
    const next = await world.a.join();
    assertEquals(pathless(next), LASTING);
    assertEquals([acquire(next.pool, 101, 1), acquire(old.pool, 101, 1)], [[101, 3, 4], [101, 4, 5]]);
    assertEquals([old.pool.isOwned, next.pool.isOwned, next.pool.close()], [true, false, false]);
    world.a.clock.ms += 1000;
    await old.holder.renew(-1);
    old.pool.extend(old.holder.mark);
    assert(next.pool.own());
    assertEquals([old.pool.isOwned, old.pool.close()], [false, false]);
    world.a.clock.ms += 1000;
    await next.holder.renew(-1);
    assertEquals(await world.record(), [118, "a-1"]);
    assertEquals([await end(next), await world.record()], [true, [102, ""]]);
    assertEquals(acquire(old.pool, 101, 1), [101, 0, 0]);
  });

  it("changes nothing by itself", async () => {
    await using world = await setUp();
    const old = await world.a.hold();
    await world.a.join();
    assertEquals([old.pool.isOwned, world.store.changes], [true, 1]);
    assertEquals([await end(old), await world.record()], [true, [101, ""]]);
  });

  it("cannot own the pool once the running server has closed it", async () => {
    await using world = await setUp();
    const old = await world.a.hold();
    const next = await world.a.join();
    old.pool.close();
    assertEquals([next.pool.own(), next.pool.close()], [false, false]);
    await assertRejects(() => world.a.join(), PoolError, "it does not hold the node any more");
    await old.holder.release(old.pool.firstUnusedTick);
    await assertRejects(() => world.a.join(), PoolError, "it does not hold the node any more");
  });

  it("throws if there is no pool, or it is another holder's", async () => {
    await using world = await setUp();
    await assertRejects(() => world.a.join(), PoolError, "it has no pool that others can find");
    await world.a.hold();
    await assertRejects(() => world.b.join(), PoolError, "it has no pool that others can find");
    await assertRejects(
      () => world.a.join({ boot: undefined }),
      PoolError,
      "the pool is of boot boot-a-1, and this is",
    );
    await assertRejects(() => world.a.join({ nodeId: 6 }), PoolError, "the pool is of node 7, and this is node 6");
    const other = new IdLayout({ timeBits: 20, sequenceBits: 5, nodeBits: 3, tickMs: 1000, epochMs: 0 });
    await assertRejects(
      () => world.a.join({ layout: other }),
      PoolError,
      "the pool is of layout v1 time=20 sequence=4",
    );
    await assertRejects(
      () => world.a.join({ store: new FlakyStore() }),
      PoolError,
      "it does not hold the node any more",
    );
    await world.b.hold();
    await assertRejects(() => world.a.join(), PoolError, "it does not hold the node any more");
    await Deno.chmod(world.b.poolPath, 0o644);
    await assertRejects(() => world.b.join(), ForeignFileError, "has the mode 100644");
  });

  it("throws if the pool of the running server has no path", async () => {
    await using world = await setUp();
    await world.a.hold({ boot: undefined });
    await assertRejects(() => world.a.join({ boot: undefined }), PoolError, "it has no pool that others can find");
  });
});

describe("holdNode and joinNode", () => {
  it("leave no file open but that of the pool that they return", async () => {
    await using world = await setUp();
    const libc = openLibc();
    const lowest = () => {
      const fd = libc.open(cString(world.a.poolPath), 0, 0);
      libc.close(fd);
      return fd;
    };
    await end(await world.a.hold());
    world.a[Symbol.dispose]();
    const before = lowest();
    await end(await world.a.hold());
    await world.a.hold();
    await world.a.hold();
    world.a.reboot();
    await world.a.hold();
    await world.b.hold();
    await world.a.hold();
    world.a[Symbol.dispose]();
    world.b[Symbol.dispose]();
    assertEquals(lowest(), before);
  });
});

/** A store in which something happens before a change is made. */
class Interrupted implements ReservationStore {
  readonly isLocal = true;
  private readonly store: ReservationStore;
  private readonly next: () => (() => Promise<unknown>) | undefined;

  constructor(store: ReservationStore, next: () => (() => Promise<unknown>) | undefined) {
    this.store = store;
    this.next = next;
  }

  read(nodeId: number): Promise<string | undefined> {
    return this.store.read(nodeId);
  }

  async compareAndSet(...change: Parameters<ReservationStore["compareAndSet"]>): Promise<boolean> {
    await this.next()?.();
    return await this.store.compareAndSet(...change);
  }
}
