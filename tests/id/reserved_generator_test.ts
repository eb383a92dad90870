import { assertEquals, assertNotEquals, assertRejects, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import {
  ClockError,
  IdGenerator,
  type IdGeneratorOptions,
  IdGrant,
  IdLayout,
  IdStatus,
  MemoryReservationStore,
  NodeHeldError,
  NotReservedError,
  OutOfIdsError,
  type TickRange,
} from "../../mod.ts";
import { FlakyStore } from "../reservation/flaky_store.ts";
import { until } from "../../testing/within.ts";
import { HandClock } from "./hand_clock.ts";

const EPOCH_MS = 1_000_000;
const TICK_MS = 100;
/** 64 ticks of 100 ms, 4 sequence numbers, 4 nodes. */
const LAYOUT = new IdLayout({ timeBits: 6, sequenceBits: 2, nodeBits: 2, tickMs: TICK_MS, epochMs: EPOCH_MS });

/** A generator of node 1, its clock at the beginning of tick 10, and its monotonic clock. */
function setUp(options: Partial<IdGeneratorOptions> = {}) {
  const clock = new HandClock(EPOCH_MS + 10 * TICK_MS);
  const monotonicClock = new HandClock(7);
  const ids = new IdGenerator({ nodeId: 1, layout: LAYOUT, clock, monotonicClock, ...options });
  const next = () => {
    const { tick, sequence } = LAYOUT.unpack(ids.nextId());
    return [tick, sequence];
  };
  return { clock, monotonicClock, ids, next };
}

const reserved = (firstTick: number, mark: number): { reservation: TickRange } => ({
  reservation: { firstTick, mark },
});

describe("IdGenerator with a reservation", () => {
  it("emits in the first tick reserved, also if it was made in it", () => {
    const { next } = setUp(reserved(10, 12));
    assertEquals([next(), next()], [[10, 0], [10, 1]]);
  });

  it("emits in any tick reserved, however long after the first", () => {
    const { next } = setUp(reserved(0, 64));
    assertEquals(next(), [10, 0]);
  });

  it("emits nothing before the first tick, and says how long that is", () => {
    const { clock, ids, next } = setUp(reserved(12, 20));
    const behind = assertThrows(() => ids.nextId(), ClockError);
    assertEquals([behind.tick, behind.lastTick, behind.retryAfterMs], [10, 11, 100]);
    clock.ms += behind.retryAfterMs;
    clock.ms += assertThrows(() => ids.nextId(), OutOfIdsError).retryAfterMs; // tick 11 counts as used up
    assertEquals(next(), [12, 0]);
  });

  it("emits nothing at or past the end, until that moves on", () => {
    const { clock, ids, next } = setUp(reserved(10, 11));
    assertEquals(next(), [10, 0]);
    clock.ms += TICK_MS;
    const error = assertThrows(
      () => ids.nextId(),
      NotReservedError,
      "tick 11 is not reserved, only ticks below 11 are",
    );
    assertEquals([error.tick, error.mark, error.retryAfterMs], [11, 11, 100]);
    assertThrows(() => ids.fill(new BigUint64Array(2)), NotReservedError);
    const grant = new IdGrant();
    assertEquals(ids.tryRange(1, grant), IdStatus.NOT_RESERVED);
    assertEquals([grant.count, grant.tick, grant.retryAfterMs], [0, 11, 100]);
    ids.extendReservation(12);
    assertEquals(next(), [11, 0]);
    ids.extendReservation(11); // has no effect
    assertEquals(next(), [11, 1]);
    ids.extendReservation(14);
    ids.extendReservation(13); // nor has this
    clock.ms += 2 * TICK_MS;
    assertEquals(next(), [13, 0]);
  });

  it("may have nothing reserved at all, and the last tick of the layout", () => {
    const empty = setUp(reserved(10, 10));
    assertThrows(() => empty.ids.nextId(), NotReservedError);
    const { clock, next } = setUp(reserved(63, 64));
    clock.ms = EPOCH_MS + 63 * TICK_MS;
    assertEquals(next(), [63, 0]);
    const over = setUp(reserved(64, 64));
    over.clock.ms = EPOCH_MS + 63 * TICK_MS;
    assertThrows(() => over.ids.nextId(), OutOfIdsError);
  });

  it("refuses ticks that the layout does not have", () => {
    assertThrows(
      () => setUp(reserved(65, 65)),
      RangeError,
      "reservation.firstTick must be an integer from 0 to 64: got 65",
    );
    assertThrows(
      () => setUp(reserved(0, 65)),
      RangeError,
      "reservation.mark must be an integer from 0 to 64: got 65",
    );
    assertThrows(
      () => setUp().ids.extendReservation(65),
      RangeError,
      "mark must be an integer from 0 to 64: got 65",
    );
  });
});

describe('IdGenerator with the clock policy "logical"', () => {
  const clockPolicy = "logical";

  it("goes on in the last tick used when the clock steps back", () => {
    const { clock, ids, next } = setUp({ clockPolicy, ...reserved(10, 64) });
    assertEquals(next(), [10, 0]);
    clock.ms -= 5 * TICK_MS;
    assertEquals([next(), ids.aheadMs], [[10, 1], 5 * TICK_MS]);
  });

  it("goes on to the next tick once that is used up, but only through as many as time passes", () => {
    const { clock, monotonicClock, ids, next } = setUp({ clockPolicy, ...reserved(10, 64) });
    ids.nextRange(4);
    clock.ms -= 5 * TICK_MS;
    monotonicClock.ms += 60;
    const error = assertThrows(() => ids.nextId(), OutOfIdsError);
    assertEquals([error.tick, error.retryAfterMs], [10, 40]);
    monotonicClock.ms += 39;
    assertThrows(() => ids.nextId(), OutOfIdsError);
    monotonicClock.ms += 1;
    assertEquals(next(), [11, 0]);
    // A long time without calls does not let it run through many ticks at once.
    monotonicClock.ms += 10 * TICK_MS;
    ids.nextRange(4);
    assertEquals(next(), [12, 0]);
    ids.nextRange(4);
    assertThrows(() => ids.nextId(), OutOfIdsError);
  });

  it("follows the clock again once that has caught up", () => {
    const { clock, ids, next } = setUp({ clockPolicy, ...reserved(10, 64) });
    next();
    clock.ms -= 2 * TICK_MS;
    next();
    clock.ms += 3 * TICK_MS;
    assertEquals([next(), ids.aheadMs], [[11, 0], 0]);
  });

  it("begins at once with a reservation that is ahead of the clock, and stays inside it", () => {
    const { monotonicClock, ids, next } = setUp({ clockPolicy, ...reserved(30, 31) });
    assertEquals(next(), [30, 0]);
    assertEquals(ids.aheadMs, 20 * TICK_MS);
    ids.nextRange(4);
    monotonicClock.ms += TICK_MS;
    assertThrows(() => ids.nextId(), NotReservedError, "tick 31 is not reserved");
    ids.extendReservation(32);
    assertEquals(next(), [31, 0]);
  });

  it("keeps rule 5 without a reservation: the tick it was made in counts as used up", () => {
    const { clock, monotonicClock, ids, next } = setUp({ clockPolicy });
    clock.ms -= TICK_MS;
    assertThrows(() => ids.nextId(), OutOfIdsError);
    monotonicClock.ms += TICK_MS;
    assertEquals(next(), [11, 0]);
  });

  it("gives nothing for a clock that gives no time, nor past the last tick", () => {
    const { clock, monotonicClock, ids } = setUp({ clockPolicy, ...reserved(63, 64) });
    ids.nextRange(4);
    monotonicClock.ms += TICK_MS;
    assertThrows(() => ids.nextId());
    clock.ms = NaN;
    assertThrows(() => ids.nextId(), ClockError);
  });

  it("is one of two", () => {
    const wrong = { clockPolicy: "ignore" } as unknown as Partial<IdGeneratorOptions>;
    assertThrows(() => setUp(wrong), TypeError, 'clockPolicy must be "refuse" or "logical": got "ignore"');
    const noClock = { monotonicClock: {} } as unknown as Partial<IdGeneratorOptions>;
    assertThrows(() => setUp(noClock), TypeError, "monotonicClock must have a method now(): got an object of Object");
  });
});

describe("IdGenerator.close", () => {
  it("gives back with its node what it has not used: the next one has ids with the next tick", async () => {
    const store = new MemoryReservationStore();
    const clock = new HandClock(EPOCH_MS + 10 * TICK_MS);
    const open = () => IdGenerator.open({ store, layout: LAYOUT, clock, nodeId: 1 });
    const first = await open();
    clock.ms += TICK_MS;
    assertEquals(LAYOUT.unpack(first.nextId()), { tick: 11, sequence: 0, nodeId: 1 });
    await first.close();
    assertEquals(await store.read(1), { mark: 12, holder: "", layout: `${LAYOUT}` });
    const second = await open();
    // It cannot know what the one before has used of tick 11.
    clock.ms += assertThrows(() => second.nextId(), OutOfIdsError).retryAfterMs;
    assertEquals(LAYOUT.unpack(second.nextId()), { tick: 12, sequence: 0, nodeId: 1 });
    await second.close();
    clock.ms += TICK_MS;
    for (let unused = 0; unused < 3; unused++) await (await open()).close();
    await using third = await open();
    assertEquals(LAYOUT.unpack(third.nextId()), { tick: 13, sequence: 0, nodeId: 1 });
  });

  it("gives back only what is past its last tick where that is ahead of the clock", async () => {
    const store = new MemoryReservationStore();
    const clock = new HandClock(EPOCH_MS + 10 * TICK_MS);
    const monotonicClock = new HandClock(0);
    const options = { store, layout: LAYOUT, clock, monotonicClock, nodeId: 1, clockPolicy: "logical" as const };
    const first = await IdGenerator.open(options);
    clock.ms += TICK_MS;
    first.nextRange(4);
    clock.ms -= 5 * TICK_MS;
    monotonicClock.ms += TICK_MS;
    assertEquals(LAYOUT.unpack(first.nextId()).tick, 12);
    await first.close();
    await using second = await IdGenerator.open(options);
    assertEquals(LAYOUT.unpack(second.nextId()).tick, 13);
  });

  it("closes before it gives back, so nothing is used of what another may have by then", async () => {
    const store = new FlakyStore();
    const clock = new HandClock(EPOCH_MS + 10 * TICK_MS);
    const ids = await IdGenerator.open({ store, layout: LAYOUT, clock, nodeId: 1 });
    clock.ms += TICK_MS;
    ids.nextId();
    const closing = ids.close();
    assertThrows(() => ids.nextId(), NotReservedError);
    clock.ms += TICK_MS;
    assertThrows(() => ids.nextId(), NotReservedError);
    await closing;
    assertEquals((await store.read(1))?.mark, 12);
  });

  it("gives no ids once it is closed", async () => {
    const clock = new HandClock(EPOCH_MS + 10 * TICK_MS);
    const ids = await IdGenerator.open({ store: new MemoryReservationStore(), layout: LAYOUT, clock });
    clock.ms += TICK_MS;
    ids.nextId();
    await ids.close();
    assertThrows(() => ids.nextId(), NotReservedError);
    ids.extendReservation(64);
    assertThrows(() => ids.nextId(), NotReservedError);
    await ids.close();
  });
});

describe("IdGenerator.open", () => {
  it("gives replicas nodes of their own, and a node given back to the next one, past all that was used", async () => {
    const layout = new IdLayout({ timeBits: 20, sequenceBits: 2, nodeBits: 2, tickMs: TICK_MS, epochMs: EPOCH_MS });
    const store = new MemoryReservationStore();
    const clock = new HandClock(EPOCH_MS + 10 * TICK_MS);
    const seen = new Set<bigint>();
    const held = new Set<number>();
    for (let round = 1; round <= 3; round++) {
      await using first = await IdGenerator.open({ store, layout, clock, clockPolicy: "logical", nodeId: 2 });
      await using other = await IdGenerator.open({ store, layout, clock, clockPolicy: "logical" });
      assertNotEquals(other.nodeId, 2);
      held.add(other.nodeId);
      clock.ms += round * TICK_MS; // it is past what the round before has used
      for (const id of [...first.nextRange(9), ...other.nextRange(9)]) {
        assertEquals(seen.has(id), false);
        seen.add(id);
      }
      clock.ms -= round * TICK_MS;
    }
    assertEquals(seen.size > 12 && held.size >= 1, true);
  });

  it("renews its reservation in the background, and says what keeps it from that", async () => {
    const store = new FlakyStore();
    const clock = new HandClock(EPOCH_MS + 10 * TICK_MS);
    const errors: unknown[] = [];
    await using ids = await IdGenerator.open({ store, layout: LAYOUT, clock, onError: (error) => errors.push(error) });
    store.isOut = true;
    clock.ms += 40 * TICK_MS; // past the reservation: 3 s are 30 ticks
    await until("a renewal has failed", () => errors.length > 0);
    assertThrows(
      () => ids.nextId(),
      NotReservedError,
      "tick 50 is not reserved, only ticks below 41 are: out of reach",
    );
    store.isOut = false;
    await until("the reservation goes on", () => ids.tryRange(1, new IdGrant()) === IdStatus.OK);
    assertEquals(ids.lastTick, 50);
  });

  it("stops renewing when another holder has taken the node over", async () => {
    const store = new MemoryReservationStore();
    const clock = new HandClock(EPOCH_MS + 10 * TICK_MS);
    const errors: unknown[] = [];
    const open = { store, layout: LAYOUT, clock, nodeId: 1, onError: (error: unknown) => errors.push(error) };
    await using ids = await IdGenerator.open(open);
    const record = (await store.read(1))!;
    await store.compareAndSet(1, record, { ...record, holder: "another", mark: 50 });
    clock.ms += 40 * TICK_MS;
    await until("it has noticed", () => errors.length > 0);
    assertEquals(errors[0] instanceof NodeHeldError, true);
    assertThrows(() => ids.nextId(), NotReservedError, "node 1 was taken by another holder");
  });

  it("holds no node if its other options are wrong", async () => {
    const store = new MemoryReservationStore();
    const wrong = { store, nodeId: 1, clockPolicy: "ignore" as unknown as "refuse" };
    await assertRejects(() => IdGenerator.open(wrong), TypeError, 'clockPolicy must be "refuse" or "logical"');
    assertEquals((await store.read(1))?.holder ?? "", "");
  });

  it("fails as its store does", async () => {
    const store = new FlakyStore();
    store.isOut = true;
    await assertRejects(() => IdGenerator.open({ store }), Error, "out of reach");
  });
});
