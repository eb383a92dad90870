import { assert, assertEquals, assertRejects } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { DEFAULT_LAYOUT, StoreError } from "../../mod.ts";
import { CheckedStore } from "../../lib/reservation/checked_store.ts";
import { ReservationHolder } from "../../lib/reservation/holder.ts";
import { watchNodes } from "../../lib/reservation/watch_nodes.ts";
import { HandClock } from "../id/hand_clock.ts";
import { FlakyStore } from "./flaky_store.ts";
import { foundOf } from "./record_of.ts";

/** A store, its holders, and a watch of 6 s; `meanwhile` is what happens between two looks. */
function setUp(meanwhile: () => Promise<unknown> = () => Promise.resolve()) {
  const store = new FlakyStore();
  const clock = new HandClock(DEFAULT_LAYOUT.epochMs + 1_000_000);
  const time = { ms: 0, now: () => time.ms };
  const watch = () =>
    watchNodes({
      store: CheckedStore.of(store),
      watchMs: 6000,
      monotonicClock: time,
      sleep: async (ms) => {
        time.ms += ms;
        await meanwhile();
      },
    });
  const claim = (nodeId: number) =>
    ReservationHolder.claim({
      ...{ store, nodeId, layout: DEFAULT_LAYOUT, clock, monotonicClock: time },
      name: `holder ${nodeId}`,
    });
  return { store, time, watch, claim };
}

describe("watchNodes", () => {
  it("tells holders that renew from those that do not, and from nodes that were given back", async () => {
    const { watch, claim, time, store } = setUp(() => alive.renew(-1));
    const alive = await claim(3);
    await claim(20);
    await (await claim(7)).release();
    const nodes = await watch();
    assertEquals(nodes.map(({ nodeId, state }) => [nodeId, state]), [[3, "alive"], [7, "free"], [20, "silent"]]);
    assertEquals(time.ms, 6000);
    assertEquals(nodes[0].found, await foundOf(store, 3));
  });

  it("ends as soon as all holders have shown that they are alive", async () => {
    const { watch, claim, time } = setUp(() => time.ms >= 1500 ? alive.renew(-1) : Promise.resolve());
    const alive = await claim(3);
    assertEquals((await watch()).map(({ state }) => state), ["alive"]);
    assertEquals(time.ms, 1500);
  });

  it("does not wait where nobody holds a node", async () => {
    const { watch, claim, time } = setUp();
    assertEquals(await watch(), []);
    await (await claim(7)).release();
    assertEquals((await watch()).map(({ state }) => state), ["free"]);
    assertEquals(time.ms, 0);
  });

  it("shows a node that is claimed, or given back, meanwhile", async () => {
    const events = [() => claim(1), () => held.release()];
    const { watch, claim } = setUp(async () => await events.shift()?.());
    const held = await claim(2);
    assertEquals((await watch()).map(({ nodeId, state }) => [nodeId, state]), [[1, "alive"], [2, "free"]]);
  });

  it("goes on past a record that it cannot read", async () => {
    const { watch, claim, store } = setUp();
    await store.goBack(new Map([[1, "no record"]]));
    await (await claim(2)).release();
    const [unreadable, free] = await watch();
    assert(unreadable.found instanceof StoreError);
    assertEquals([unreadable.state, free.state], ["unreadable", "free"]);
  });

  it("fails if the store does", async () => {
    const { watch, store } = setUp();
    store.isOut = true;
    await assertRejects(() => watch(), Error, "out of reach");
  });
});
