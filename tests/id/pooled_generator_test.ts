import { assertEquals, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { ClockError, type ClockPolicy, IdGenerator, IdGrant, IdLayout, IdStatus, OutOfIdsError } from "../../mod.ts";
import { HandClock } from "./hand_clock.ts";
import { MemorySequencePool } from "./memory_sequence_pool.ts";

/** 16 ids a tick of 1 s. */
const LAYOUT = new IdLayout({ timeBits: 30, sequenceBits: 4, nodeBits: 0, tickMs: 1000, epochMs: 0 });

/** Generators that share a pool from tick 100 on, of which they take 4 sequence numbers at a time. Their clocks are in tick 100. */
function setUp(count: number, clockPolicy: ClockPolicy = "refuse") {
  const pool = new MemorySequencePool(LAYOUT, 100, 4);
  const clocks = Array.from({ length: count }, () => new HandClock(100_250));
  const monotonicClock = new HandClock(0);
  const generators = clocks.map((clock) =>
    new IdGenerator({
      ...{ nodeId: 0, layout: LAYOUT, clock, monotonicClock, clockPolicy, sequencePool: pool },
      reservation: { firstTick: 100, endTick: 200 },
    })
  );
  return { clocks, monotonicClock, generators };
}

/** The tick and the sequence number of the next id, as `tick:sequence`. */
function next(ids: IdGenerator): string {
  const { tick, sequence } = LAYOUT.unpack(ids.nextId());
  return `${tick}:${sequence}`;
}

function statusOf(ids: IdGenerator): [IdStatus, retryAfterMs: number] {
  const grant = new IdGrant();
  return [ids.tryRange(1, grant), grant.retryAfterMs];
}

describe("IdGenerators that share a pool", () => {
  it("take some sequence numbers at a time, and give them out one by one", () => {
    const { generators: [a, b] } = setUp(2);
    assertEquals([next(a), next(b), next(a), next(b)], ["100:0", "100:4", "100:1", "100:5"]);
    assertEquals(Array.from({ length: 3 }, () => next(a)), ["100:2", "100:3", "100:8"]);
  });

  it("leave nothing over, whoever is asked", () => {
    const { generators: [a] } = setUp(2);
    assertEquals(Array.from({ length: 16 }, () => next(a)).at(-1), "100:15");
    assertThrows(() => a.nextId(), OutOfIdsError);
    assertEquals(statusOf(a), [IdStatus.OUT_OF_IDS, 750]);
  });

  it("give ranges without gaps: what is left of what was taken, or as many as are wanted", () => {
    const { generators: [a, b] } = setUp(2);
    assertEquals(a.step, 1n);
    next(a);
    assertEquals(a.nextRange(10).count, 3);
    const range = a.nextRange(10);
    assertEquals([LAYOUT.unpack(range.first).sequence, range.count], [4, 10]);
    assertEquals(b.nextRange(10).count, 2);
    assertEquals(statusOf(b)[0], IdStatus.OUT_OF_IDS);
  });

  it("begin each tick anew, whoever is there first, and give up what they had taken of the one before", () => {
    const { generators: [a, b], clocks } = setUp(2);
    next(a);
    next(b);
    for (const clock of clocks) clock.ms += 1000;
    assertEquals([next(b), next(a), next(b)], ["101:0", "101:4", "101:1"]);
  });

  it("do not go on in a tick that another has left", () => {
    const { generators: [a, b], clocks } = setUp(2);
    clocks[1].ms += 1000;
    assertEquals([next(b), next(b)], ["101:0", "101:1"]);
    assertEquals(statusOf(a), [IdStatus.CLOCK_BEHIND, 750]);
    assertThrows(() => a.nextId(), ClockError);
    assertEquals(a.lastTick, 101);
    clocks[0].ms += 750;
    assertEquals(next(a), "101:4");
  });

  it("finish what they had taken of a tick that another has left", () => {
    const { generators: [a, b], clocks } = setUp(2);
    assertEquals(next(a), "100:0");
    clocks[1].ms += 1000;
    next(b);
    assertEquals([next(a), next(a), next(a)], ["100:1", "100:2", "100:3"]);
    assertEquals(statusOf(a)[0], IdStatus.CLOCK_BEHIND);
  });

  it("have no ids in the tick before the first", () => {
    const { generators: [a], clocks } = setUp(1);
    clocks[0].ms -= 1000;
    assertEquals(statusOf(a), [IdStatus.OUT_OF_IDS, 750]);
  });

  it("have no ids in the tick in which they are made without a reservation, whatever the pool has", () => {
    const clock = new HandClock(100_250);
    const ids = new IdGenerator({
      ...{ nodeId: 0, layout: LAYOUT, clock, sequencePool: new MemorySequencePool(LAYOUT, 100, 4) },
    });
    assertEquals(statusOf(ids), [IdStatus.OUT_OF_IDS, 750]);
    clock.ms += 750;
    assertEquals(next(ids), "101:0");
  });

  it("logical: go on together behind the clock, in the tick of whoever is ahead, through no more ticks than time passes", () => {
    const { generators: [a, b], clocks, monotonicClock } = setUp(2, "logical");
    next(a);
    next(b);
    for (const clock of clocks) clock.ms -= 50_000;
    assertEquals(Array.from({ length: 6 }, () => next(a)).at(-1), "100:10");
    assertEquals(Array.from({ length: 7 }, () => next(b)).at(-1), "100:15");
    assertEquals(next(a), "100:11"); // it still had one
    assertEquals([statusOf(a)[0], statusOf(b)[0]], [IdStatus.OUT_OF_IDS, IdStatus.OUT_OF_IDS]);
    monotonicClock.ms += 1000;
    assertEquals([next(b), next(a), next(b)], ["101:0", "101:4", "101:1"]);
    assertEquals([a.aheadMs, b.aheadMs], [50_750, 50_750]);
  });

  it("logical: one that rests does not lead the others on, and waits for its own time when it follows them", () => {
    const { generators: [a, b], clocks, monotonicClock } = setUp(2, "logical");
    next(a);
    next(b);
    for (const clock of clocks) clock.ms -= 50_000;
    monotonicClock.ms += 5000;
    // Time has passed, but the tick is not used up.
    assertEquals(Array.from({ length: 4 }, () => next(b)).at(-1), "100:8");
    a.nextRange(3);
    assertEquals(a.nextRange(16).count, 4);
    b.nextRange(3);
    assertEquals(statusOf(a)[0], IdStatus.OUT_OF_IDS);
    assertEquals(next(a), "101:0");
    monotonicClock.ms += 999;
    assertEquals(b.nextRange(16).count, 12); // of tick 101, where it is from now on
    assertEquals(statusOf(b), [IdStatus.OUT_OF_IDS, 1000]);
  });

  it("refuse a subnode besides", () => {
    const sequencePool = new MemorySequencePool(LAYOUT, 0, 1);
    assertThrows(
      () => new IdGenerator({ nodeId: 0, layout: LAYOUT, sequencePool, subnodeId: 1, subnodeCount: 2 }),
      TypeError,
      "sequencePool and subnodeCount cannot both be given",
    );
  });
});
