import { assertEquals, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { IdSequencer } from "../../lib/id/id_sequencer.ts";
import type { IdSettings, SplitSequence, TickRange } from "../../lib/id/id_sequencer_options.ts";
import { IdGrant, IdLayout, IdStatus } from "../../mod.ts";
import { HandClock } from "./hand_clock.ts";
import { takeRange, tryOne } from "./take_range.ts";

const EPOCH_MS = 1_000_000;
const TICK_MS = 100;
/** 64 ticks of 100 ms, 4 sequence numbers, 4 nodes. */
const LAYOUT = new IdLayout({ timeBits: 6, sequenceBits: 2, nodeBits: 2, tickMs: TICK_MS, epochMs: EPOCH_MS });

/** A sequencer of node 1, its clock at the beginning of tick 10, and its monotonic clock. */
function setUp(options: Partial<IdSettings> & SplitSequence = {}) {
  const clock = new HandClock(EPOCH_MS + 10 * TICK_MS);
  const monotonicClock = new HandClock(7);
  const ids = new IdSequencer({ nodeId: 1, layout: LAYOUT, clock, monotonicClock, ...options });
  const next = () => {
    const { tick, sequence } = LAYOUT.unpack(takeRange(ids, 1).first);
    return [tick, sequence];
  };
  return { clock, monotonicClock, ids, next };
}

const reserved = (firstTick: number, mark: number): { reservation: TickRange } => ({
  reservation: { firstTick, mark },
});

describe("IdSequencer with a reservation", () => {
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
    assertEquals([tryOne(ids), ids.lastTick], [[IdStatus.CLOCK_BEHIND, TICK_MS], 11]);
    clock.ms += TICK_MS;
    assertEquals(tryOne(ids), [IdStatus.OUT_OF_IDS, TICK_MS]); // tick 11 counts as used up
    clock.ms += TICK_MS;
    assertEquals(next(), [12, 0]);
  });

  it("emits nothing at or past the end, until that moves on", () => {
    const { clock, ids, next } = setUp(reserved(10, 11));
    assertEquals(next(), [10, 0]);
    clock.ms += TICK_MS;
    assertEquals(ids.mark, 11);
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
    assertEquals(tryOne(empty.ids)[0], IdStatus.NOT_RESERVED);
    const { clock, next } = setUp(reserved(63, 64));
    clock.ms = EPOCH_MS + 63 * TICK_MS;
    assertEquals(next(), [63, 0]);
    const over = setUp(reserved(64, 64));
    over.clock.ms = EPOCH_MS + 63 * TICK_MS;
    assertEquals(tryOne(over.ids)[0], IdStatus.OUT_OF_IDS);
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

describe('IdSequencer with the clock policy "logical"', () => {
  const clockPolicy = "logical";

  it("goes on in the last tick used when the clock steps back", () => {
    const { clock, ids, next } = setUp({ clockPolicy, ...reserved(10, 64) });
    assertEquals(next(), [10, 0]);
    clock.ms -= 5 * TICK_MS;
    assertEquals([next(), ids.aheadMs], [[10, 1], 5 * TICK_MS]);
  });

  it("goes on to the next tick once that is used up, but only through as many as time passes", () => {
    const { clock, monotonicClock, ids, next } = setUp({ clockPolicy, ...reserved(10, 64) });
    takeRange(ids, 4);
    clock.ms -= 5 * TICK_MS;
    monotonicClock.ms += 60;
    assertEquals([tryOne(ids), ids.lastTick], [[IdStatus.OUT_OF_IDS, 40], 10]);
    monotonicClock.ms += 39;
    assertEquals(tryOne(ids)[0], IdStatus.OUT_OF_IDS);
    monotonicClock.ms += 1;
    assertEquals(next(), [11, 0]);
    // A long time without calls does not let it run through many ticks at once.
    monotonicClock.ms += 10 * TICK_MS;
    takeRange(ids, 4);
    assertEquals(next(), [12, 0]);
    takeRange(ids, 4);
    assertEquals(tryOne(ids)[0], IdStatus.OUT_OF_IDS);
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
    takeRange(ids, 4);
    monotonicClock.ms += TICK_MS;
    assertEquals(tryOne(ids), [IdStatus.NOT_RESERVED, 100]);
    ids.extendReservation(32);
    assertEquals(next(), [31, 0]);
  });

  it("keeps rule 5 without a reservation: the tick it was made in counts as used up", () => {
    const { clock, monotonicClock, ids, next } = setUp({ clockPolicy });
    clock.ms -= TICK_MS;
    assertEquals(tryOne(ids)[0], IdStatus.OUT_OF_IDS);
    monotonicClock.ms += TICK_MS;
    assertEquals(next(), [11, 0]);
  });

  it("gives nothing for a clock that gives no time, nor past the last tick", () => {
    const { clock, monotonicClock, ids } = setUp({ clockPolicy, ...reserved(63, 64) });
    takeRange(ids, 4);
    monotonicClock.ms += TICK_MS;
    assertEquals(tryOne(ids)[0], IdStatus.OUT_OF_TIME);
    clock.ms = NaN;
    assertEquals(tryOne(ids)[0], IdStatus.CLOCK_BEHIND);
  });

  it("is one of two", () => {
    const wrong = { clockPolicy: "ignore" } as unknown as Partial<IdSettings>;
    assertThrows(() => setUp(wrong), TypeError, 'clockPolicy must be "refuse" or "logical": got "ignore"');
    const noClock = { monotonicClock: {} } as unknown as Partial<IdSettings>;
    assertThrows(() => setUp(noClock), TypeError, "monotonicClock must have a method now(): got an object of Object");
  });
});
