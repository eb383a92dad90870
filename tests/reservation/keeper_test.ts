import { assert, assertEquals, assertInstanceOf } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { IdLayout, NodeHeldError } from "../../mod.ts";
import { ReservationHolder } from "../../lib/reservation/holder.ts";
import { type KeeperOptions, ReservationKeeper } from "../../lib/reservation/keeper.ts";
import { HandClock } from "../id/hand_clock.ts";
import { until } from "../../testing/within.ts";
import { FlakyStore } from "./flaky_store.ts";
import { holderNameOf, namedRecordOf, overwrite, recordOf } from "./record_of.ts";

const LAYOUT = new IdLayout({ timeBits: 20, sequenceBits: 2, nodeBits: 2, tickMs: 1000, epochMs: 0 });

/** A holder of node 1 in tick 100, whose mark is 104; and what its keeper has told. */
async function setUp() {
  const clock = new HandClock(100_000);
  const store = new FlakyStore();
  const options = { store, nodeId: 1, layout: LAYOUT, clock, monotonicClock: new HandClock(0) };
  const holder = await ReservationHolder.claim({ ...options, name: "a" });
  const marks: number[] = [];
  const errors: Error[] = [];
  const keep = (options: Partial<KeeperOptions> = {}) =>
    new ReservationKeeper(holder, {
      check: () => {},
      usedTick: () => -1,
      onMark: (mark) => marks.push(mark),
      onError: (error) => errors.push(error as Error),
      ...options,
    });
  return { clock, store, holder, marks, errors, keep };
}

describe("ReservationKeeper", () => {
  it("renews at once, and then again and again", async () => {
    const { clock, marks, keep } = await setUp();
    clock.ms += 1000;
    const keeper = keep();
    await until("it has renewed at once", () => marks.length === 1);
    clock.ms += 1000;
    await until("it has renewed again", () => marks.length === 2);
    assertEquals(marks, [105, 106]);
    await keeper.stop();
  });

  it("waits for as long as the holder says, after a renewal that succeeded, and after one that failed", async () => {
    const { holder, store, marks, errors, keep } = await setUp();
    Object.defineProperty(holder, "renewAfterMs", { value: 37 });
    Object.defineProperty(holder, "retryAfterMs", { value: 53 });
    using timers = new WatchedTimers();
    const keeper = keep();
    await until("it has renewed", () => marks.length >= 2);
    assert(timers.delays.includes(37) && !timers.delays.includes(53), `${timers.delays}`);
    store.isOut = true;
    await until("it has failed", () => errors.length >= 2);
    assert(timers.delays.includes(53), `${timers.delays}`);
    await keeper.stop();
  });

  it("goes with the last tick used", async () => {
    const { marks, keep } = await setUp();
    const keeper = keep({ usedTick: () => 102 });
    await until("it has renewed", () => marks.length === 1);
    assertEquals(marks, [106]);
    await keeper.stop();
  });

  it("tells of a renewal that failed, and tries again", async () => {
    const { clock, store, marks, errors, keep } = await setUp();
    store.isOut = true;
    clock.ms += 1000;
    const keeper = keep();
    await until("it has failed", () => errors.length === 1);
    store.isOut = false;
    await until("it has renewed", () => marks.length === 1);
    assertEquals(marks, [105]);
    await keeper.stop();
  });

  it("does not renew while it must not", async () => {
    const { clock, store, marks, errors, keep } = await setUp();
    clock.ms += 1000;
    let isAllowed = false;
    const check = () => {
      if (!isAllowed) throw new Error("it must not");
    };
    const keeper = keep({ check });
    await until("it has checked", () => errors.length === 1);
    assertEquals([errors[0].message, store.changes], ["it must not", 1]);
    isAllowed = true;
    await until("it has renewed", () => marks.length === 1);
    await keeper.stop();
  });

  it("gives up when another holder has taken the node, and has nothing to give back then", async () => {
    const { clock, store, errors, keep } = await setUp();
    await overwrite(store, 1, { holder: "b" });
    const record = await recordOf(store, 1);
    clock.ms += 1000;
    const keeper = keep();
    await until("it has noticed", () => errors.length === 1);
    assertInstanceOf(errors[0], NodeHeldError);
    await keeper.release(101);
    assertEquals(await recordOf(store, 1), record);
  });

  it("stop: renews no more once that is over, and gives nothing back", async () => {
    const { clock, store, marks, keep } = await setUp();
    clock.ms += 1000;
    const reply = store.holdNextReply();
    const keeper = keep();
    let isStopped = false;
    const stopping = keeper.stop().then(() => isStopped = true);
    await Promise.resolve();
    assertEquals([isStopped, marks], [false, []]);
    reply.resolve();
    await stopping;
    assertEquals(marks, [105]);
    assertEquals(await namedRecordOf(store, 1), { mark: 105, holder: "a", layout: LAYOUT.key });
    await keeper.release(101);
    assertEquals(await holderNameOf(store, 1), "a");
  });

  it("release: gives the node and what is unused back, after the renewal that is under way", async () => {
    const { clock, store, marks, keep } = await setUp();
    clock.ms += 1000;
    const reply = store.holdNextReply();
    const keeper = keep();
    const releasing = keeper.release(102);
    reply.resolve();
    await releasing;
    assertEquals(marks, [105]);
    assertEquals(await namedRecordOf(store, 1), { mark: 102, holder: "", layout: LAYOUT.key });
  });

  it("release: gives only the node back if nothing is certain to be unused", async () => {
    const { store, keep } = await setUp();
    await keep().release();
    assertEquals(await namedRecordOf(store, 1), { mark: 104, holder: "", layout: LAYOUT.key });
  });

  it("release: does not fail if the store does", async () => {
    const { store, keep } = await setUp();
    const keeper = keep();
    store.isOut = true;
    await keeper.release(102);
    store.isOut = false;
    assertEquals(await holderNameOf(store, 1), "a");
  });
});

/** As long as it is there, it notes how long timers are set for, in ms. */
class WatchedTimers implements Disposable {
  readonly delays: (number | undefined)[] = [];
  readonly #setTimeout = globalThis.setTimeout;

  constructor() {
    const watched = (act: () => void, delayMs?: number) => {
      this.delays.push(delayMs);
      return this.#setTimeout.call(globalThis, act, delayMs);
    };
    globalThis.setTimeout = watched as typeof setTimeout;
  }

  [Symbol.dispose]() {
    globalThis.setTimeout = this.#setTimeout;
  }
}
