import { assertEquals, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { IdSequencer } from "../../lib/id/id_sequencer.ts";
import type { PooledSequence } from "../../lib/id/id_sequencer_options.ts";
import { type ClockPolicy, IdGrant, IdLayout, IdStatus } from "../../mod.ts";
import { HandClock } from "./hand_clock.ts";
import { MemorySequencePool } from "./memory_sequence_pool.ts";
import { takeRange, tryOne } from "./take_range.ts";

/** 16 ids a tick of 1 s. */
const LAYOUT = new IdLayout({ timeBits: 30, sequenceBits: 4, nodeBits: 0, tickMs: 1000, epochMs: 0 });

/**
 * Sequencers that share a pool of the ticks 100 to 199, of which they take `leaseSize` sequence numbers at a time, or
 * what they are asked for. Their clocks are in tick 100.
 */
function setUp(count: number, { clockPolicy = "refuse" as ClockPolicy, leaseSize = 1 } = {}) {
  const pool = new MemorySequencePool(LAYOUT, 100, 200, leaseSize);
  const clocks = Array.from({ length: count }, () => new HandClock(100_250));
  const monotonicClock = new HandClock(0);
  const sequencers = clocks.map((clock) =>
    new IdSequencer({ nodeId: 0, layout: LAYOUT, clock, monotonicClock, clockPolicy, sequencePool: pool })
  );
  return { pool, clocks, monotonicClock, sequencers };
}

/** The tick and the sequence number of the next id, as `tick:sequence`. */
function next(ids: IdSequencer): string {
  const { tick, sequence } = LAYOUT.unpack(takeRange(ids, 1).first);
  return `${tick}:${sequence}`;
}

/** The tick and the sequence numbers of a range: the first and the last one, as `tick:first-last`. */
function range(ids: IdSequencer, count: number): string {
  const range = takeRange(ids, count);
  const { tick, sequence } = LAYOUT.unpack(range.first);
  return `${tick}:${sequence}-${sequence + range.count - 1}`;
}

describe("Sequencers that share a pool", () => {
  it("take exactly what they are asked for, so that whoever is asked later has a higher id", () => {
    const { sequencers: [a, b] } = setUp(2);
    assertEquals([next(a), next(b), next(a), next(b)], ["100:0", "100:1", "100:2", "100:3"]);
    assertEquals([range(b, 4), next(a), range(a, 2), next(b)], ["100:4-7", "100:8", "100:9-10", "100:11"]);
  });

  it("leave nothing over, whoever is asked", () => {
    const { sequencers: [a, b, idle] } = setUp(3);
    next(idle);
    for (let i = 0; i < 7; i++) next(a), next(b);
    assertEquals(next(a), "100:15");
    for (const ids of [a, b, idle]) assertEquals(tryOne(ids), [IdStatus.OUT_OF_IDS, 750]);
  });

  it("give ranges as long as they are wanted, as long as the tick has so many, and then what it has", () => {
    const { sequencers: [a, b] } = setUp(2);
    assertEquals(a.step, 1n);
    assertEquals([next(a), range(b, 10), range(a, 10)], ["100:0", "100:1-10", "100:11-15"]);
    assertEquals(tryOne(b)[0], IdStatus.OUT_OF_IDS);
    const { sequencers: [whole] } = setUp(1);
    assertEquals(range(whole, 2 ** 32 - 1), "100:0-15");
  });

  it("begin each tick anew, whoever is there first", () => {
    const { sequencers: [a, b], clocks } = setUp(2);
    next(a);
    next(b);
    for (const clock of clocks) clock.ms += 1000;
    assertEquals([next(b), next(a), next(b)], ["101:0", "101:1", "101:2"]);
  });

  it("do not go on in a tick that another has left", () => {
    const { sequencers: [a, b], clocks } = setUp(2);
    next(a);
    clocks[1].ms += 1000;
    assertEquals([next(b), next(b)], ["101:0", "101:1"]);
    assertEquals(tryOne(a), [IdStatus.CLOCK_BEHIND, 750]);
    assertEquals(a.lastTick, 101);
    clocks[0].ms += 750;
    assertEquals(next(a), "101:2");
  });

  it("have no ids in the tick before the first", () => {
    const { sequencers: [a], clocks } = setUp(1);
    clocks[0].ms -= 1000;
    assertEquals(tryOne(a), [IdStatus.OUT_OF_IDS, 750]);
    clocks[0].ms -= 1000;
    assertEquals(tryOne(a), [IdStatus.CLOCK_BEHIND, 750]);
  });

  it("have ids in the tick in which they are made: the pool knows what is taken of it", () => {
    const { sequencers: [a], pool, clocks: [clock] } = setUp(1);
    next(a);
    const late = new IdSequencer({ nodeId: 0, layout: LAYOUT, clock, sequencePool: pool });
    assertEquals(late.lastTick, -1);
    assertEquals(next(late), "100:1");
  });

  it("have ids in tick 0", () => {
    const sequencePool = new MemorySequencePool(LAYOUT, 0);
    const ids = new IdSequencer({ nodeId: 0, layout: LAYOUT, clock: new HandClock(999), sequencePool });
    assertEquals(next(ids), "0:0");
  });

  it("refuse a subnode, or a reservation, besides", () => {
    const sequencePool = new MemorySequencePool(LAYOUT, 0);
    const make = (split: unknown) => new IdSequencer({ nodeId: 0, layout: LAYOUT, ...split as PooledSequence });
    assertThrows(
      () => make({ sequencePool, subnodeId: 1, subnodeCount: 2 }),
      TypeError,
      "sequencePool and subnodeCount cannot both be given",
    );
    assertThrows(
      () => make({ sequencePool, reservation: { firstTick: 0, mark: 9 } }),
      TypeError,
      "sequencePool and reservation cannot both be given",
    );
  });
});

describe("Sequencers whose pool ends", () => {
  it("have no ids from its end on, and do not enter such a tick", () => {
    const { sequencers: [a, b], clocks, pool } = setUp(2);
    next(a);
    for (const clock of clocks) clock.ms += 100_000;
    assertEquals([tryOne(a), tryOne(b)], [[IdStatus.NOT_RESERVED, 100], [IdStatus.NOT_RESERVED, 100]]);
    assertEquals([a.mark, b.mark], [200, 200]);
    assertEquals([a.lastTick, b.lastTick], [100, -1]);
    clocks[0].ms -= 100_000; // nothing was used, so nothing is lost
    assertEquals(next(a), "100:1");
    pool.mark = 201;
    assertEquals(next(b), "200:0");
  });

  it("have none from the moment on when it is closed, in no tick", () => {
    const { sequencers: [a, b], clocks, pool } = setUp(2);
    next(a);
    pool.mark = 0;
    assertEquals([tryOne(a), tryOne(b)], [[IdStatus.NOT_RESERVED, 100], [IdStatus.NOT_RESERVED, 100]]);
    assertEquals(a.tryRange(3, new IdGrant()), IdStatus.NOT_RESERVED);
    clocks[0].ms += 1000;
    assertEquals(tryOne(a)[0], IdStatus.NOT_RESERVED);
    assertEquals(a.lastTick, 100);
  });

  it("have none if it is closed after they have looked at it, and before they take from it", () => {
    class ClosingPool extends MemorySequencePool {
      override acquire(...args: Parameters<MemorySequencePool["acquire"]>): void {
        this.mark = 0;
        super.acquire(...args);
      }
    }
    const sequencePool = new ClosingPool(LAYOUT, 100, 200);
    const ids = new IdSequencer({ nodeId: 0, layout: LAYOUT, clock: new HandClock(100_250), sequencePool });
    assertEquals(tryOne(ids), [IdStatus.NOT_RESERVED, 100]);
  });

  it("have none once they are closed, while the others go on", () => {
    const { sequencers: [a, b], pool } = setUp(2, { leaseSize: 4 });
    assertEquals([next(a), next(b)], ["100:0", "100:4"]);
    a.close();
    assertEquals([tryOne(a), a.mark], [[IdStatus.NOT_RESERVED, 100], 0]);
    assertEquals([next(b), pool.mark], ["100:5", 200]);
  });

  it("are not told by extendReservation: it has no effect", () => {
    const { sequencers: [a], clocks } = setUp(1);
    a.extendReservation(1000);
    next(a);
    clocks[0].ms += 100_000;
    assertEquals(tryOne(a)[0], IdStatus.NOT_RESERVED);
  });
});

describe("Sequencers that take more than they are asked for, and give it back", () => {
  it("use up what they have taken before they take more", () => {
    const { sequencers: [a, b] } = setUp(2, { leaseSize: 4 });
    assertEquals([next(a), next(b), next(a), next(b)], ["100:0", "100:4", "100:1", "100:5"]);
    assertEquals(Array.from({ length: 3 }, () => next(a)), ["100:2", "100:3", "100:8"]);
  });

  it("leave nothing of what they give back", () => {
    const { sequencers: [a, b] } = setUp(2, { leaseSize: 4 });
    assertEquals([next(a), next(a)], ["100:0", "100:1"]);
    a.releaseLease();
    assertEquals(next(b), "100:2");
    b.releaseLease();
    b.releaseLease(); // there is nothing left
    a.releaseLease();
    assertEquals([next(a), next(a)], ["100:3", "100:4"]);
  });

  it("do not use what they have given back", () => {
    const { sequencers: [a, b] } = setUp(2, { leaseSize: 4 });
    next(a);
    a.releaseLease();
    assertEquals([range(b, 4), next(a)], ["100:1-4", "100:5"]);
  });

  it("lose it if another has taken some since: ids only grow", () => {
    const { sequencers: [a, b] } = setUp(2, { leaseSize: 4 });
    assertEquals([next(a), next(b)], ["100:0", "100:4"]);
    a.releaseLease();
    assertEquals([next(a), next(b)], ["100:8", "100:5"]);
    b.releaseLease();
    a.releaseLease();
    assertEquals([next(b), next(a)], ["100:9", "100:13"]);
  });

  it("lose it if another has gone on to a later tick since", () => {
    const { sequencers: [a, b], clocks } = setUp(2, { leaseSize: 4 });
    next(a);
    clocks[1].ms += 1000;
    assertEquals(range(b, 4), "101:0-3"); // the pool has as many taken as were taken in the tick before
    a.releaseLease();
    assertEquals(next(b), "101:4");
  });

  it("extend what they have in place for a range that is longer, if it was taken last", () => {
    const { sequencers: [a, b] } = setUp(2, { leaseSize: 4 });
    assertEquals([next(a), range(a, 6), next(a)], ["100:0", "100:1-6", "100:7"]);
    assertEquals([next(b), range(a, 5)], ["100:11", "100:15-15"], "more than were left, and not taken last");
  });

  it("finish what they have when others have emptied the tick", () => {
    const { sequencers: [a, b] } = setUp(2, { leaseSize: 4 });
    assertEquals([next(a), range(b, 12)], ["100:0", "100:4-15"]);
    assertEquals(range(a, 10), "100:1-3");
    assertEquals([tryOne(a)[0], tryOne(b)[0]], [IdStatus.OUT_OF_IDS, IdStatus.OUT_OF_IDS]);
  });

  it("have what another gives back, though the tick was used up before", () => {
    const { sequencers: [a, b] } = setUp(2, { leaseSize: 16 });
    assertEquals([next(a), tryOne(b)[0]], ["100:0", IdStatus.OUT_OF_IDS]);
    a.releaseLease();
    assertEquals(range(b, 20), "100:1-15");
    a.releaseLease();
    assertEquals([tryOne(a)[0], tryOne(b)[0]], [IdStatus.OUT_OF_IDS, IdStatus.OUT_OF_IDS]);
  });

  it("have what they give back of a tick that was used up, but not once it is over", () => {
    const { sequencers: [a], clocks } = setUp(1, { leaseSize: 16 });
    assertEquals(next(a), "100:0");
    a.releaseLease();
    assertEquals(range(a, 20), "100:1-15");
    assertEquals(tryOne(a)[0], IdStatus.OUT_OF_IDS);
    clocks[0].ms += 1000;
    next(a);
    clocks[0].ms += 1000;
    a.releaseLease();
    assertEquals(next(a), "102:0");
  });

  it("give up what they had taken of the tick before", () => {
    const { sequencers: [a, b], clocks } = setUp(2, { leaseSize: 4 });
    next(a);
    next(b);
    for (const clock of clocks) clock.ms += 1000;
    assertEquals([next(b), next(a), next(b)], ["101:0", "101:4", "101:1"]);
  });

  it("have nothing to give back without a pool", () => {
    const clock = new HandClock(100_250);
    const ids = new IdSequencer({ nodeId: 0, layout: LAYOUT, clock, reservation: { firstTick: 100, mark: 200 } });
    next(ids);
    ids.releaseLease();
    assertEquals(next(ids), "100:1");
  });
});

describe('Sequencers that share a pool, with the clock policy "logical"', () => {
  const clockPolicy = "logical";

  it("go on together behind the clock, in the tick of whoever is ahead, through no more ticks than time passes", () => {
    const { sequencers: [a, b], clocks, monotonicClock } = setUp(2, { clockPolicy });
    next(a);
    next(b);
    for (const clock of clocks) clock.ms -= 50_000;
    assertEquals([range(a, 10), range(b, 10)], ["100:2-11", "100:12-15"]);
    assertEquals([tryOne(a)[0], tryOne(b)[0]], [IdStatus.OUT_OF_IDS, IdStatus.OUT_OF_IDS]);
    monotonicClock.ms += 1000;
    assertEquals([next(b), next(a), next(b)], ["101:0", "101:1", "101:2"]);
    assertEquals([a.aheadMs, b.aheadMs], [50_750, 50_750]);
  });

  it("one that rests does not lead the others on, and waits for its own time when it follows them", () => {
    const { sequencers: [a, b], clocks, monotonicClock } = setUp(2, { clockPolicy });
    next(a);
    next(b);
    for (const clock of clocks) clock.ms -= 50_000;
    monotonicClock.ms += 5000;
    assertEquals(range(b, 14), "100:2-15"); // time has passed, but the tick is not used up
    assertEquals(tryOne(a)[0], IdStatus.OUT_OF_IDS);
    assertEquals(next(a), "101:0");
    monotonicClock.ms += 999;
    assertEquals(range(b, 16), "101:1-15"); // where it is from now on
    assertEquals(tryOne(b), [IdStatus.OUT_OF_IDS, 1000]);
  });

  it("do not lead the pool on because what they had taken is used up, while it has more", () => {
    const { sequencers: [a], clocks, monotonicClock } = setUp(1, { clockPolicy });
    next(a);
    clocks[0].ms -= 50_000;
    monotonicClock.ms += 5000;
    assertEquals(next(a), "100:1");
    range(a, 14);
    a.releaseLease();
    assertEquals(tryOne(a)[0], IdStatus.OUT_OF_IDS);
    assertEquals(next(a), "101:0");
  });

  it("stay below the pool's end", () => {
    const { sequencers: [a], clocks, monotonicClock, pool } = setUp(1, { clockPolicy });
    pool.mark = 101;
    range(a, 16);
    clocks[0].ms -= 50_000;
    assertEquals(tryOne(a)[0], IdStatus.OUT_OF_IDS);
    monotonicClock.ms += 1000;
    assertEquals(tryOne(a)[0], IdStatus.NOT_RESERVED);
    pool.mark = 102;
    assertEquals(next(a), "101:0");
  });
});
