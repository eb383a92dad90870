import { assertEquals, assertRejects } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { DEFAULT_LAYOUT, NodeHeldError, NUMBER_LAYOUT } from "../../mod.ts";
import { CheckedStore } from "../../lib/reservation/checked_store.ts";
import { claimNode } from "../../lib/reservation/claim.ts";
import { freeNode } from "../../lib/reservation/free_node.ts";
import { ReservationHolder } from "../../lib/reservation/holder.ts";
import { HandClock } from "../id/hand_clock.ts";
import { FlakyStore } from "./flaky_store.ts";
import { holderNameOf, recordOf } from "./record_of.ts";

/** A store, and what holders and the command are made from; `meanwhile` is what happens while the command watches. */
function setUp(meanwhile: () => Promise<unknown> = () => Promise.resolve()) {
  const store = new FlakyStore();
  const waits: number[] = [];
  const clock = new HandClock(DEFAULT_LAYOUT.epochMs + 1_000_000);
  const time = { store, clock, monotonicClock: { now: () => 0 } };
  const options = (nodeId: number, layout = DEFAULT_LAYOUT) => ({
    ...{ ...time, nodeId, layout },
    ...{ name: `holder of ${nodeId}`, info: { host: "db-1", address: "10.0.0.1:9999" } },
  });
  const sleep = async (ms: number) => {
    waits.push(ms);
    await meanwhile();
  };
  const free = (nodeId: number) => freeNode({ ...time, store: CheckedStore.of(store), nodeId, sleep });
  return { store, waits, options, free };
}

describe("freeNode", () => {
  it("frees a node whose holder is gone, and leaves the mark where it is", async () => {
    const { store, waits, options, free } = setUp();
    const gone = await ReservationHolder.claim(options(5));
    const before = await recordOf(store, 5);
    assertEquals((await free(5))?.record, before);
    const { mark, beat, layout } = await recordOf(store, 5);
    assertEquals([mark, beat, layout], [gone.mark, before.beat + 1, before.layout]);
    assertEquals(await holderNameOf(store, 5), "");
    assertEquals(waits, [2000, 2000, 2000]);
    // Who claims it next need not watch, and begins past all that the one that is gone may have used.
    const next = await claimNode({ ...options(5), maxNodeId: 5, name: "next", sleep: () => Promise.reject("waits") });
    assertEquals(next.firstTick, gone.mark);
  });

  it("does not free a node whose holder is alive, and says who that is", async () => {
    const { store, options, free } = setUp(() => alive.renew(-1));
    const alive = await ReservationHolder.claim(options(5));
    await assertRejects(() => free(5), NodeHeldError, "node 5 is held by db-1, at 10.0.0.1:9999, since 20");
    assertEquals(await holderNameOf(store, 5), "holder of 5");
  });

  it("does not free one whose holder is alive and has another layout", async () => {
    const { store, options, free } = setUp(() => alive.renew(-1));
    const alive = await ReservationHolder.claim(options(5, NUMBER_LAYOUT));
    await assertRejects(() => free(5), NodeHeldError);
    assertEquals(await holderNameOf(store, 5), "holder of 5");
  });

  it("does not free one whose holder changes the record at the same moment", async () => {
    const { store, options, free } = setUp();
    const alive = await ReservationHolder.claim(options(5));
    const compareAndSet = store.compareAndSet.bind(store);
    store.compareAndSet = async (...args) => {
      store.compareAndSet = compareAndSet;
      await alive.renew(-1);
      return await compareAndSet(...args);
    };
    await assertRejects(() => free(5), NodeHeldError);
    assertEquals(await holderNameOf(store, 5), "holder of 5");
  });

  it("does nothing where nobody holds the node", async () => {
    const { store, options, free, waits } = setUp();
    assertEquals(await free(5), undefined);
    await (await ReservationHolder.claim(options(5))).release();
    const before = await store.read(5);
    assertEquals(await free(5), undefined);
    assertEquals(await store.read(5), before);
    assertEquals(waits, []);
  });

  it("takes the node from a holder that was merely stopped, which then gets no more ticks", async () => {
    const { options, free } = setUp();
    const stopped = await ReservationHolder.claim(options(5));
    const { mark } = stopped;
    await free(5);
    await assertRejects(() => stopped.renew(-1), NodeHeldError, "node 5 was taken by another holder");
    assertEquals(stopped.mark, mark);
  });
});
