import { assertEquals, assertRejects } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { ClosedError, IdGenerator, IdLayout, MemoryReservationStore, OutOfTimeError } from "../../mod.ts";
import { HeldTime, turn } from "../held_time.ts";
import { HandClock } from "./hand_clock.ts";

const EPOCH_MS = 1_000_000;
const TICK_MS = 100;
/** 64 ticks of 100 ms, 4 sequence numbers, 4 nodes. */
const LAYOUT = new IdLayout({ timeBits: 6, sequenceBits: 2, nodeBits: 2, tickMs: TICK_MS, epochMs: EPOCH_MS });

/** A generator of node 1 in the tick in which it was made, and its clock. */
function setUp(tick = 10) {
  const clock = new HandClock(EPOCH_MS + tick * TICK_MS);
  return { clock, ids: new IdGenerator({ nodeId: 1, layout: LAYOUT, clock }) };
}

/** Whether a promise is settled, asked at any time. */
function watch(promise: Promise<unknown>): { isSettled: boolean } {
  const watched = { isSettled: false };
  const settle = () => void (watched.isSettled = true);
  promise.then(settle, settle);
  return watched;
}

describe("IdGenerator.waitForId", () => {
  it("has an id at once, if there is one", async () => {
    const { clock, ids } = setUp();
    clock.ms += TICK_MS;
    using timers = new HeldTime();
    assertEquals(LAYOUT.unpack(await ids.waitForId()), { tick: 11, sequence: 0, nodeId: 1 });
    assertEquals(timers.delays, []);
  });

  it("waits for the next tick, as long as that takes", async () => {
    const { clock, ids } = setUp();
    clock.ms += 40;
    using timers = new HeldTime();
    const waiting = [ids.waitForId(), ids.waitForId()];
    const watched = watch(waiting[0]);
    clock.ms += 59;
    await timers.fire(); // a bit early, as timers may be
    assertEquals([timers.delays, watched.isSettled], [[60, 60, 1, 1], false]);
    clock.ms += 1;
    await timers.fire();
    assertEquals((await Promise.all(waiting)).map((id) => LAYOUT.unpack(id).sequence), [0, 1]);
  });

  it("waits for a clock that is behind, and looks at it every second, since it may be put right", async () => {
    const { clock, ids } = setUp(60);
    clock.ms -= 5000;
    using timers = new HeldTime();
    const waiting = ids.waitForId();
    await timers.fire();
    assertEquals(timers.delays, [1000, 1000]);
    clock.ms += 5100;
    await timers.fire();
    assertEquals(LAYOUT.unpack(await waiting).tick, 61);
  });

  it("waits for a reservation", async () => {
    const clock = new HandClock(EPOCH_MS + 10 * TICK_MS);
    await using ids = await IdGenerator.open({ store: new MemoryReservationStore(), layout: LAYOUT, clock });
    clock.ms += 40 * TICK_MS; // past the reservation: 3 s are 30 ticks
    assertEquals(LAYOUT.unpack(await ids.waitForId()).tick, 50);
  });

  it("throws what waiting does not help against", async () => {
    const { clock, ids } = setUp();
    clock.ms = EPOCH_MS + 64 * TICK_MS;
    await assertRejects(() => ids.waitForId(), OutOfTimeError);
    clock.ms = EPOCH_MS;
    using timers = new HeldTime();
    const waiting = ids.waitForId();
    await ids.close();
    await timers.fire();
    await assertRejects(() => waiting, ClosedError);
    await assertRejects(() => ids.waitForId(), ClosedError);
  });

  it("rejects with the signal's reason, and leaves no timer and no id behind", async () => {
    const { clock, ids } = setUp();
    using timers = new HeldTime();
    const controller = new AbortController();
    const reason = new Error("enough");
    const waiting = ids.waitForId({ signal: controller.signal });
    assertEquals(timers.count, 1);
    controller.abort(reason);
    assertEquals([await assertRejects(() => waiting), timers.count], [reason, 0]);
    clock.ms += TICK_MS;
    assertEquals(await assertRejects(() => ids.waitForId({ signal: controller.signal })), reason);
    assertEquals(LAYOUT.unpack(ids.nextId()).sequence, 0);
  });

  it("serves from the system's clock", async () => {
    const layout = new IdLayout({ timeBits: 41, sequenceBits: 3, nodeBits: 10, tickMs: 1, epochMs: EPOCH_MS });
    const ids = new IdGenerator({ nodeId: 9, layout });
    const got: bigint[] = [];
    while (got.length < 200) got.push(await ids.waitForId());
    assertEquals([...new Set(got)].toSorted((a, b) => a < b ? -1 : 1), got);
  });
});

describe("IdGenerator[Symbol.asyncIterator]", () => {
  it("gives id after id, over ticks, until the loop is left", async () => {
    const { clock, ids } = setUp();
    clock.ms += TICK_MS;
    using timers = new HeldTime();
    const got: string[] = [];
    const loop = (async () => {
      for await (const id of ids) {
        const { tick, sequence } = LAYOUT.unpack(id);
        if (got.push(`${tick}:${sequence}`) === 6) break;
      }
    })();
    await turn();
    clock.ms += TICK_MS;
    await timers.fire();
    await loop;
    assertEquals(got, ["11:0", "11:1", "11:2", "11:3", "12:0", "12:1"]);
    assertEquals(LAYOUT.unpack(ids.nextId()).sequence, 2);
  });

  it("ends when the generator is closed between two ids", async () => {
    const { clock, ids } = setUp();
    clock.ms += TICK_MS;
    let count = 0;
    for await (const _id of ids) {
      if (++count === 2) await ids.close();
    }
    assertEquals(count, 2);
  });

  it("ends when the generator is closed while the loop waits for an id", async () => {
    const { ids } = setUp();
    using timers = new HeldTime();
    const loop = (async () => {
      for await (const _id of ids) throw new Error("there is no id in the tick in which a generator is made");
    })();
    await turn();
    await ids.close();
    await timers.fire();
    await loop;
  });

  it("throws what is no wait", async () => {
    const { clock, ids } = setUp();
    clock.ms = EPOCH_MS + 64 * TICK_MS;
    const loop = (async () => {
      for await (const _id of ids) throw new Error("the layout is over");
    })();
    await assertRejects(() => loop, OutOfTimeError);
  });
});
