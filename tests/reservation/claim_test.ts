import { assert, assertEquals, assertRejects } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { DEFAULT_LAYOUT, IdLayout, MemoryReservationStore, NodeHeldError } from "../../mod.ts";
import { claimNode, type ClaimOptions } from "../../lib/reservation/claim.ts";
import { until } from "../../testing/within.ts";
import { HandClock } from "../id/hand_clock.ts";
import { holderNameOf, markOf } from "./record_of.ts";
import { FlakyStore } from "./flaky_store.ts";

/** What claims of the nodes 0 to 3 are made from; `meanwhile` is what happens while a claim waits. */
function setUp(meanwhile: () => Promise<void> = () => Promise.resolve()) {
  const waits: number[] = [];
  const clock = new HandClock(DEFAULT_LAYOUT.epochMs + 1_000_000);
  const store = new MemoryReservationStore();
  const options = (name: string, nodeId?: number): ClaimOptions => ({
    ...{ store, nodeId, maxNodeId: 3, layout: DEFAULT_LAYOUT, clock, name },
    monotonicClock: { now: () => 0 },
    sleep: async (ms) => (waits.push(ms), await meanwhile()),
  });
  return { waits, clock, store, options };
}

/** Waits until a signal is aborted, however long that takes. */
function untilAborted(_ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
}

const WIDTHS = { timeBits: 37, sequenceBits: 17, nodeBits: 10, tickMs: 1000, epochMs: DEFAULT_LAYOUT.epochMs };

describe("claimNode", () => {
  it("gives every replica a node of its own, without waiting, and says when there is none left", async () => {
    const { waits, options, clock } = setUp(async () => {
      clock.ms += 5000;
      for (const holder of holders) await holder.renew(-1);
    });
    const holders = await Promise.all(["a", "b", "c", "d"].map((name) => claimNode(options(name))));
    assertEquals(new Set(holders.map(({ nodeId }) => nodeId)).size, 4);
    assertEquals(waits, []);
    const error = await assertRejects(() => claimNode(options("e")), NodeHeldError, "all 4 node ids are held");
    assert(error instanceof NodeHeldError);
    assertEquals(waits.length, 1);
  });

  it("does not take a node that another replica takes at the same moment", async () => {
    const { store, options } = setUp();
    let other: Promise<unknown> | undefined;
    const overtaken = {
      compareAndSet: store.compareAndSet.bind(store),
      async read(nodeId: number) {
        const found = await store.read(nodeId);
        await (other ??= claimNode(options("other", nodeId)));
        return found;
      },
    };
    await assertRejects(() => claimNode({ ...options("late", 2), store: overtaken }), NodeHeldError);
    assertEquals(await holderNameOf(store, 2), "other");
  });

  it("gives a node on that was given back, at once", async () => {
    const { waits, options } = setUp();
    const holders = await Promise.all(["a", "b", "c", "d"].map((name) => claimNode(options(name))));
    await holders[2].release();
    const next = await claimNode(options("e"));
    assertEquals([next.nodeId, next.firstTick], [holders[2].nodeId, holders[2].mark]);
    assertEquals(waits, []);
  });

  it("takes a node over whose holder shows no sign of life, after having watched it", async () => {
    const { waits, clock, options } = setUp(async () => {
      clock.ms += 5000;
      await alive.renew(-1);
    });
    const dead = await claimNode(options("dead", 1));
    const alive = await claimNode(options("alive", 2));
    assertEquals((await claimNode(options("next", 1))).firstTick, dead.mark);
    assertEquals(waits.length, 1);
    await assertRejects(
      () => claimNode(options("next", 2)),
      NodeHeldError,
      "node 2 is held by another generator or server",
    );
  });

  for (
    const [what, layout] of [["ticks of a minute", { ...WIDTHS, tickMs: 60_000 }], [
      "a mark far ahead",
      WIDTHS,
    ]] as const
  ) {
    it(`takes no node whose holder lives, with ${what}`, async () => {
      const world = setUp(() => holder.renew(-1));
      const options = { ...world.options("a", 1), layout: new IdLayout(layout) };
      if (what === "a mark far ahead") world.clock.ms += 3_600_000;
      const holder = await claimNode(options);
      if (what === "a mark far ahead") world.clock.ms -= 3_600_000;
      const { mark } = holder;
      await assertRejects(() => claimNode({ ...options, name: "b" }), NodeHeldError, "node 1 is held by another");
      assertEquals([holder.mark, await holderNameOf(world.store, 1)], [mark, "a"]);
    });
  }

  it("gives up when it is aborted, at once, and claims no node afterwards", async () => {
    const { store, options } = setUp();
    await claimNode(options("dead", 1));
    const before = await store.read(1);
    const controller = new AbortController();
    const reason = new Error("enough");
    const sleep = (ms: number) => untilAborted(ms, controller.signal);
    const claim = claimNode({ ...options("next", 1), sleep, signal: controller.signal });
    setTimeout(() => controller.abort(reason));
    assertEquals(await assertRejects(() => claim), reason);
    assertEquals(await store.read(1), before);
    const aborted = { ...options("late", 2), signal: controller.signal };
    assertEquals(await assertRejects(() => claimNode(aborted)), reason);
    assertEquals(await store.read(2), undefined);
  });

  it("gives back what it claims all the same, when it is aborted while the store is busy", async () => {
    const { options } = setUp();
    const store = new FlakyStore();
    const reply = store.holdNextReply();
    const controller = new AbortController();
    const claim = claimNode({ ...options("a", 1), store, signal: controller.signal });
    await until("the claim is on record", async () => await holderNameOf(store, 1) === "a");
    controller.abort();
    const error = await assertRejects(() => claim, DOMException);
    assertEquals(error.name, "AbortError");
    assertEquals(await holderNameOf(store, 1), "a"); // the store has not answered yet
    reply.resolve();
    await until("the node is given back", async () => await holderNameOf(store, 1) === "");
    assertEquals(await markOf(store, 1), 1001); // the clock is in tick 1000: no tick is lost
  });

  it("keeps a node that it has, when it is aborted afterwards", async () => {
    const { store, options } = setUp();
    const controller = new AbortController();
    const holder = await claimNode({ ...options("a", 1), signal: controller.signal });
    controller.abort();
    await Promise.resolve();
    assertEquals(await holderNameOf(store, 1), "a");
    await holder.release();
  });

  it("leaves a node to whoever is first", async () => {
    const { options } = setUp();
    const claims = await Promise.allSettled(["a", "b"].map((name) => claimNode(options(name, 0))));
    assertEquals(claims.filter(({ status }) => status === "fulfilled").length, 1);
  });
});
