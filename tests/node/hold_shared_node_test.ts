import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import type { NodeHold } from "../../lib/node/hold_node.ts";
import { LEAD_MS, SETTLE_MS } from "../../lib/reservation/shared_store.ts";
import { ClockSkewError, IdLayout, NodeHeldError } from "../../mod.ts";
import { HandClock } from "../id/hand_clock.ts";
import { overwrite } from "../reservation/record_of.ts";
import { SharedFlakyStore } from "../reservation/shared_flaky_store.ts";
import { TempDir } from "../../testing/temp_dir.ts";
import { Machine } from "./machine.ts";
import { acquire } from "./pools.ts";

const NODE = 7;
/** Ticks of 1 s, with 16 ids each. */
const LAYOUT = new IdLayout({ timeBits: 20, sequenceBits: 4, nodeBits: 3, tickMs: 1000, epochMs: 0 });
/** How many ticks past the clock's a claim begins, and how many past it the mark is. */
const SETTLE = SETTLE_MS / 1000 + 1;
const AHEAD = LEAD_MS / 1000 + 1;

/** Two machines whose clocks are in tick 1000, and the store that they share. */
async function setUp() {
  const temp = await TempDir.make();
  const time = new HandClock(1_000_000);
  const monotonicClock = new HandClock(0);
  const store = new SharedFlakyStore(time);
  const shared = { store, layout: LAYOUT, nodeId: NODE };
  const machines = ["a", "b"].map((name) => new Machine(name, `${temp.path}/${name}`, time.ms, shared));
  const [a, b] = machines;
  const pass = (ms: number) => {
    for (const clock of [time, monotonicClock, a.clock, b.clock]) clock.ms += ms;
  };
  return {
    ...{ store, a, b, pass, tick: () => Math.floor(time.ms / 1000) },
    hold: (machine: Machine, change: Parameters<Machine["hold"]>[0] = {}) =>
      machine.hold({ monotonicClock, sleep: (ms) => Promise.resolve(pass(ms)), ...change }),
    [Symbol.asyncDispose]: async () => {
      for (const machine of machines) machine[Symbol.dispose]();
      await temp[Symbol.asyncDispose]();
    },
  };
}

/** Renews until there are ids, and takes some. */
async function serve({ pass, tick }: Awaited<ReturnType<typeof setUp>>, { holder, pool }: NodeHold): Promise<void> {
  while (holder.settledAtMs !== undefined) {
    pass(1000);
    await holder.renew(-1);
  }
  pool.extend(holder.mark);
  assertEquals(acquire(pool, tick(), 3), [tick(), 0, 3]);
}

async function end({ pool, holder }: NodeHold): Promise<void> {
  pool.close();
  await holder.release(pool.firstUnusedTick);
}

describe("holdNode, in a store that machines share", () => {
  it("begins after all that others can have reserved", async () => {
    await using world = await setUp();
    const hold = await world.hold(world.a);
    assertEquals([hold.pool.position, hold.pool.mark], [{ tick: 999 + SETTLE, taken: 16 }, 1000 + SETTLE]);
    assertEquals(acquire(hold.pool, 1000 + SETTLE, 1), [1000 + SETTLE, 0, 0]);
    await serve(world, hold);
    assertEquals([world.tick(), hold.pool.mark], [1000 + SETTLE, world.tick() + AHEAD]);
  });

  it("goes on exactly where the pool is, while the reservation lasts, and settles anew once it is over", async () => {
    await using world = await setUp();
    await serve(world, await world.hold(world.a));
    world.pass(5000);
    const next = await world.hold(world.a);
    assertEquals([next.pool.holder, next.whyFromMark], ["a-1", undefined]);
    await next.holder.renew(-1);
    next.pool.extend(next.holder.mark);
    assertEquals(acquire(next.pool, next.pool.position.tick, 1), [1000 + SETTLE, 3, 4]);
    world.pass(LEAD_MS);
    const late = await world.hold(world.a);
    assertEquals(late.whyFromMark, "the last reservation is over, and another machine may have had the node since");
    assertEquals([late.pool.holder, late.holder.firstTick], ["a-3", world.tick() + SETTLE]);
  });

  it("goes on waiting if the one before it has died while it waited", async () => {
    await using world = await setUp();
    const first = await world.hold(world.a);
    world.pass(4000);
    const next = await world.hold(world.a);
    assertEquals([next.pool.holder, next.holder.settledAtMs], ["a-1", first.holder.settledAtMs]);
    await next.holder.renew(-1);
    assertEquals(next.holder.mark, first.holder.firstTick, "the store's time is not there yet");
    await serve(world, next);
  });

  it("goes on after a clean end in the same tick, while the reservation lasts", async () => {
    await using world = await setUp();
    const first = await world.hold(world.a);
    await serve(world, first);
    const { position } = first.pool;
    await end(first);
    world.pass(5000);
    const next = await world.hold(world.a);
    assertEquals([next.pool.holder, next.pool.position, next.holder.settledAtMs], ["a-2", position, undefined]);
    await end(next);
    world.pass(LEAD_MS + 2000);
    assertEquals((await world.hold(world.a)).holder.firstTick, world.tick() + SETTLE);
  });

  it("does not go on after a clean end if the claim takes longer than the reservation lasts", async () => {
    await using world = await setUp();
    const first = await world.hold(world.a);
    await serve(world, first);
    await end(first);
    const reply = world.store.holdNextReply();
    const holding = world.hold(world.a);
    for (let turn = 0; turn < 50; turn++) await Promise.resolve();
    world.pass(60_000);
    reply.resolve();
    const next = await holding;
    assertEquals(next.holder.firstTick, world.tick() + SETTLE);
  });

  it("goes on at once, whenever that is, if the store is trusted", async () => {
    await using world = await setUp();
    const first = await world.hold(world.a, { trustStore: true });
    assertEquals(acquire(first.pool, 1001, 3), [1001, 0, 3]);
    world.pass(60_000);
    const next = await world.hold(world.a, { trustStore: true });
    assertEquals([next.pool.holder, next.pool.position], ["a-1", { tick: 1001, taken: 3 }]);
    await end(next);
    assertEquals((await world.hold(world.b, { trustStore: true })).holder.firstTick, 1002);
  });

  it("does not go on from a pool whose record came back, once another machine can have had the node", async () => {
    for (const isReleased of [false, true]) {
      await using world = await setUp();
      const a = await world.hold(world.a);
      await serve(world, a);
      if (isReleased) await end(a);
      const before = await world.store.list();
      const b = await world.hold(world.b);
      await serve(world, b);
      await world.store.goBack(before);
      const again = await world.hold(world.a);
      assert(again.holder.firstTick >= b.holder.mark, `${again.holder.firstTick} is ${b.pool.holder}'s`);
    }
  });

  it("does not go on from a pool because of a renewal that comes late, to a store that has gone back", async () => {
    await using world = await setUp();
    const a = await world.hold(world.a);
    await serve(world, a);
    const before = await world.store.list();
    const b = await world.hold(world.b);
    await serve(world, b);
    world.store.fates.push("late");
    await assertRejects(() => a.holder.renew(-1));
    await world.store.goBack(before);
    assert(await world.store.arrive());
    const again = await world.hold(world.a);
    assert(again.holder.firstTick >= b.holder.mark, `${again.holder.firstTick} is ${b.pool.holder}'s`);
  });

  it("owns nothing that a machine has by then whose record came back, and whose pool goes on", async () => {
    await using world = await setUp();
    const a = await world.hold(world.a);
    await serve(world, a);
    const before = await world.store.list();
    const b = await world.hold(world.b); // it has watched for 6 s
    world.pass(2000);
    await b.holder.renew(-1);
    await world.store.goBack(before);
    const again = await world.hold(world.a);
    assertEquals(again.pool.holder, "a-1");
    await again.holder.renew(-1);
    assertEquals([b.holder.mark, again.holder.mark > b.holder.firstTick - 5], [b.holder.firstTick, true]);
    await assertRejects(() => b.holder.renew(-1), NodeHeldError);
  });

  it("takes no node from a machine that lives, even if the store is trusted, and says who has it", async () => {
    await using world = await setUp();
    const { holder } = await world.hold(world.a, { info: { host: "db-1", address: "10.0.0.7:4000" } });
    const sleep = async (ms: number) => {
      world.pass(ms);
      await holder.renew(-1);
    };
    for (const trustStore of [false, true]) {
      const error = await assertRejects(() => world.hold(world.b, { sleep, trustStore }), NodeHeldError);
      assertMatch(error.message, /^node 7 is held by another .*\(db-1, at 10\.0\.0\.7:4000, since 1970-01-01T00:16:40/);
    }
  });

  it("tries again if another machine changes the record while it watches", async () => {
    await using world = await setUp();
    await world.hold(world.a);
    let looks = 0;
    const sleep = (ms: number) => {
      world.pass(ms);
      return ++looks === 1 ? overwrite(world.store, NODE, { holder: "/1" }) : Promise.resolve();
    };
    assertEquals((await world.hold(world.b, { sleep })).pool.holder, "b-1");
    assertEquals(looks, 1);
  });

  it("claims nothing with a clock that is off", async () => {
    await using world = await setUp();
    world.a.clock.ms += 60_000;
    await assertRejects(() => world.hold(world.a), ClockSkewError);
    assertEquals(world.store.changes, 0);
  });
});
