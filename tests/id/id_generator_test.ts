import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import {
  ClockError,
  DEFAULT_LAYOUT,
  GlobalIdError,
  IdGenerator,
  type IdGeneratorOptions,
  IdGrant,
  IdLayout,
  type IdOrder,
  IdStatus,
  LAYOUTS,
  MemoryReservationStore,
  NUMBER_LAYOUT,
  OutOfIdsError,
  OutOfTimeError,
} from "../../mod.ts";
import { HandClock } from "./hand_clock.ts";

const EPOCH_MS = 1_000_000;
const TICK_MS = 100;

/** Ticks 0 to 7 of 100 ms, 4 sequence numbers, 4 nodes. */
const SMALL = layoutOf(3, 2, 2);

function layoutOf(timeBits: number, sequenceBits: number, nodeBits: number, order: IdOrder = "sequence-node") {
  return new IdLayout({ timeBits, sequenceBits, nodeBits, tickMs: TICK_MS, epochMs: EPOCH_MS, order });
}

/** A small generator made in the tick before the epoch, and its clock, set to the beginning of tick 0. */
function small(options: Partial<IdGeneratorOptions> = {}) {
  const clock = new HandClock(EPOCH_MS - 1);
  const ids = new IdGenerator({ nodeId: 1, layout: SMALL, clock, ...options });
  clock.ms = EPOCH_MS;
  return { clock, ids };
}

/** The ways to take all that a tick has, each as the list of the ids it got. */
const WAYS: Record<string, (ids: IdGenerator) => bigint[]> = {
  nextId: (ids) => untilOut(() => [ids.nextId()]),
  nextNumber: (ids) => untilOut(() => [BigInt(ids.nextNumber())]),
  "nextRange(1)": (ids) => untilOut(() => [...ids.nextRange(1)]),
  "nextRange(3)": (ids) => untilOut(() => [...ids.nextRange(3)]),
  "nextRange(max)": (ids) => untilOut(() => [...ids.nextRange(2 ** 32 - 1)]),
  "fill(2)": (ids) => untilOut(() => filled(ids, 2)),
  "fill(100)": (ids) => untilOut(() => filled(ids, 100)),
};

function filled(ids: IdGenerator, length: number): bigint[] {
  const target = new BigUint64Array(length);
  return [...target.subarray(0, ids.fill(target))];
}

function untilOut(take: () => bigint[]): bigint[] {
  const all: bigint[] = [];
  try {
    for (let some = take(); some.length > 0; some = take()) all.push(...some);
  } catch (error) {
    if (!(error instanceof OutOfIdsError)) throw error;
  }
  return all;
}

describe("IdGenerator, rule by rule", () => {
  it("1: refuses while the clock is behind the epoch, and says for how long", () => {
    const clock = new HandClock(EPOCH_MS - 250);
    const ids = new IdGenerator({ nodeId: 1, layout: SMALL, clock });
    const error = assertThrows(() => ids.nextId(), ClockError);
    assertEquals([error.tick, error.firstUsableTick, error.retryAfterMs], [-3, 0, 250]);
    clock.ms += error.retryAfterMs;
    assertEquals(SMALL.unpack(ids.nextId()), { tick: 0, sequence: 0, nodeId: 1 });
  });

  it("2: refuses while the clock is behind the last tick used, and goes on where it was", () => {
    const { clock, ids } = small();
    clock.ms = EPOCH_MS + 3 * TICK_MS;
    assertEquals(SMALL.unpack(ids.nextId()), { tick: 3, sequence: 0, nodeId: 1 });
    clock.ms = EPOCH_MS + TICK_MS + 30;
    const error = assertThrows(() => ids.nextId(), ClockError);
    assertEquals([error.tick, error.firstUsableTick, error.retryAfterMs], [1, 3, 170]);
    clock.ms += error.retryAfterMs;
    assertEquals(SMALL.unpack(ids.nextId()), { tick: 3, sequence: 1, nodeId: 1 });
  });

  it("2: goes on through a step back within a tick", () => {
    const { clock, ids } = small();
    clock.ms = EPOCH_MS + TICK_MS + 99;
    const before = ids.nextId();
    clock.ms = EPOCH_MS + TICK_MS;
    assertEquals(ids.nextId(), before + ids.step);
  });

  it("2: counts the tick in which it was made as used, even if the clock steps back at once", () => {
    const clock = new HandClock(EPOCH_MS + 5 * TICK_MS);
    const ids = new IdGenerator({ nodeId: 1, layout: SMALL, clock });
    clock.ms = EPOCH_MS + 4 * TICK_MS;
    assertThrows(() => ids.nextId(), ClockError);
  });

  it("2 comes before 4, and behind the epoch too it says when ids go on", () => {
    const { clock, ids } = small();
    clock.ms = EPOCH_MS + 2 * TICK_MS;
    ids.nextRange(4);
    clock.ms = EPOCH_MS + TICK_MS;
    assertThrows(() => ids.nextId(), ClockError);
    clock.ms = EPOCH_MS - 1;
    assertEquals(assertThrows(() => ids.nextId(), ClockError).retryAfterMs, 2 * TICK_MS + 1);
  });

  it("3: refuses past the last tick, for good, but not once the clock is right again", () => {
    const { clock, ids } = small();
    clock.ms = EPOCH_MS + 8 * TICK_MS;
    const error = assertThrows(() => ids.nextId(), OutOfTimeError);
    assertEquals([error.tick, error.maxTick], [8, 7]);
    clock.ms = EPOCH_MS + 7 * TICK_MS;
    assertEquals(SMALL.unpack(ids.nextId()).tick, 7);
  });

  it("3: cannot be made past the last tick", async () => {
    const clock = new HandClock(EPOCH_MS + 8 * TICK_MS);
    const error = assertThrows(() => new IdGenerator({ nodeId: 1, layout: SMALL, clock }), OutOfTimeError);
    assertEquals([error.tick, error.maxTick], [8, 7]);
    const store = new MemoryReservationStore();
    await assertRejects(() => IdGenerator.open({ store, nodeId: 1, layout: SMALL, clock }), OutOfTimeError);
    assertEquals(await store.read(1), undefined);
  });

  it("1: cannot be made more than a day before the epoch, which then is of a wrong year", async () => {
    const clock = new HandClock(Date.UTC(2030, 0, 1));
    const layout = new IdLayout({
      timeBits: 40,
      sequenceBits: 2,
      nodeBits: 2,
      tickMs: 1,
      epochMs: Date.UTC(2030, 0, 2),
    });
    new IdGenerator({ nodeId: 1, layout, clock });
    clock.ms -= 1;
    const error = assertThrows(() => new IdGenerator({ nodeId: 1, layout, clock }), ClockError);
    assertEquals(error.retryAfterMs, 86_400_001);
    const store = new MemoryReservationStore();
    await assertRejects(() => IdGenerator.open({ store, nodeId: 1, layout, clock }), ClockError);
    assertEquals(await store.read(1), undefined);
  });

  it("4: is out of ids until the next tick, and says how long that is", () => {
    const { clock, ids } = small();
    clock.ms = EPOCH_MS + 2 * TICK_MS + 40;
    assertEquals(ids.nextRange(9).count, 4);
    const error = assertThrows(() => ids.nextId(), OutOfIdsError);
    assertEquals([error.tick, error.retryAfterMs], [2, 60]);
    clock.ms += error.retryAfterMs - 1;
    assertThrows(() => ids.nextId(), OutOfIdsError);
    clock.ms += 1;
    assertEquals(SMALL.unpack(ids.nextId()), { tick: 3, sequence: 0, nodeId: 1 });
  });

  it("4: rounds the wait up to a whole millisecond", () => {
    const { clock, ids } = small();
    ids.nextRange(4);
    clock.ms = EPOCH_MS + TICK_MS - 1.25;
    assertEquals(assertThrows(() => ids.nextId(), OutOfIdsError).retryAfterMs, 2);
    clock.ms = EPOCH_MS + TICK_MS - 0.25;
    assertEquals(assertThrows(() => ids.nextId(), OutOfIdsError).retryAfterMs, 1);
  });

  it("4: a subnode past the last sequence number has no ids in any tick", () => {
    const { clock, ids } = small({ subnodeId: 4, subnodeCount: 5 });
    for (let tick = 0; tick <= SMALL.maxTick; tick++) {
      clock.ms = EPOCH_MS + tick * TICK_MS;
      assertEquals(assertThrows(() => ids.nextId(), OutOfIdsError).tick, tick);
      assertEquals(ids.fill(new BigUint64Array(3)), 0);
    }
  });

  it("5: never emits for the tick in which it was made", () => {
    const clock = new HandClock(EPOCH_MS + 2 * TICK_MS + 10);
    const ids = new IdGenerator({ nodeId: 1, layout: SMALL, clock });
    const error = assertThrows(() => ids.nextId(), OutOfIdsError);
    assertEquals([error.tick, error.retryAfterMs], [2, 90]);
    clock.ms = EPOCH_MS + 3 * TICK_MS - 1;
    assertThrows(() => ids.nextId(), OutOfIdsError);
    clock.ms = EPOCH_MS + 3 * TICK_MS;
    assertEquals(SMALL.unpack(ids.nextId()), { tick: 3, sequence: 0, nodeId: 1 });
  });

  it("5: made before the epoch, it begins with tick 0", () => {
    const { ids } = small();
    assertEquals(ids.nextId(), SMALL.pack({ tick: 0, sequence: 0, nodeId: 1 }));
  });
});

describe("IdGenerator, whatever fails", () => {
  it("changes nothing that a later call depends on", () => {
    const { clock, ids } = small();
    clock.ms = EPOCH_MS + 2 * TICK_MS;
    const before = ids.nextId();
    const failing: (() => unknown)[] = [
      () => (clock.ms = EPOCH_MS - TICK_MS, ids.nextId()),
      () => (clock.ms = EPOCH_MS + TICK_MS, ids.nextId()),
      () => (clock.ms = EPOCH_MS + 99 * TICK_MS, ids.nextId()),
      () => (clock.ms = NaN, ids.nextId()),
      () => (clock.ms = -Infinity, ids.nextId()),
      () => (clock.ms = Infinity, ids.nextId()),
      () => ids.nextRange(0),
      () => ids.nextRange(1.5),
      () => ids.nextRange(2 ** 32),
      () => ids.nextRange("2" as unknown as number),
      () => ids.fill([] as unknown as BigUint64Array),
    ];
    for (const [i, fails] of failing.entries()) {
      assertThrows(fails);
      clock.ms = EPOCH_MS + 2 * TICK_MS;
      if (i % 5 === 4) assertEquals(ids.fill(new BigUint64Array(0)), 0);
    }
    assertEquals([...ids.nextRange(9)], [1n, 2n, 3n].map((i) => before + ids.step * i));
  });

  it("is out of order only with its clock: a clock that throws changes nothing", () => {
    let broken = false;
    let ms = EPOCH_MS - 1;
    const clock = {
      now() {
        if (broken) throw new Error("no time today");
        return ms;
      },
    };
    const ids = new IdGenerator({ nodeId: 1, layout: SMALL, clock });
    ms = EPOCH_MS;
    const first = ids.nextId();
    broken = true;
    assertThrows(() => ids.nextId(), Error, "no time today");
    broken = false;
    assertEquals(ids.nextId(), first + ids.step);
  });

  it("throws errors of one family, each named after its class", () => {
    const { clock, ids } = small();
    ids.nextRange(4);
    const out = assertThrows(() => ids.nextId(), GlobalIdError);
    assertEquals([out.name, out.message], [
      "OutOfIdsError",
      "no ids are left in tick 0: the next one begins in 100 ms",
    ]);
    clock.ms = EPOCH_MS - 1;
    assertEquals(assertThrows(() => ids.nextId(), GlobalIdError).name, "ClockError");
    clock.ms = NaN;
    assertThrows(() => ids.nextId(), ClockError, "the clock did not give a time");
    clock.ms = EPOCH_MS + 100 * TICK_MS;
    assertEquals(assertThrows(() => ids.nextId(), GlobalIdError).name, "OutOfTimeError");
  });
});

describe("IdGenerator, its arguments", () => {
  const refused: [Partial<Record<keyof IdGeneratorOptions, unknown>>, string][] = [
    [{ nodeId: 1024 }, "nodeId must be an integer from 0 to 1023: got 1024"],
    [{ nodeId: -1 }, "nodeId must be an integer from 0 to 1023: got -1"],
    [{ nodeId: undefined }, "nodeId must be a number from 0 to 1023: got undefined"],
    [{ nodeId: 1n }, "nodeId must be a number from 0 to 1023: got 1n"],
    [{ subnodeCount: 0 }, "subnodeCount must be an integer from 1 to 4294967295: got 0"],
    [{ subnodeId: 1 }, "subnodeId must be an integer from 0 to 0: got 1"],
    [{ subnodeId: 2, subnodeCount: 2 }, "subnodeId must be an integer from 0 to 1: got 2"],
    [{ layout: {} }, "layout must be an IdLayout: got an object of Object"],
    [{ clock: {} }, "clock must have a method now(): got an object of Object"],
    [{ clock: null }, "clock must have a method now(): got null"],
  ];
  for (const [options, message] of refused) {
    it(`refuses: ${message}`, () => {
      const error = assertThrows(() => new IdGenerator({ nodeId: 0, ...options } as IdGeneratorOptions));
      assert(error instanceof TypeError || error instanceof RangeError);
      assertEquals(error.message, message);
    });
  }

  it("refuses a clock that gives no time", () => {
    for (const ms of [NaN, undefined as unknown as number]) {
      assertThrows(() => new IdGenerator({ nodeId: 0, clock: new HandClock(ms) }), ClockError);
    }
  });

  it("refuses numbers from a layout whose ids are not exact as numbers", () => {
    assertThrows(
      () => new IdGenerator({ nodeId: 0 }).nextNumber(),
      RangeError,
      "a number is exact up to 53 bits, and the layout has 64",
    );
  });
});

describe("IdGenerator, its forms", () => {
  it("gives numbers that are the ids", () => {
    const clock = new HandClock(NUMBER_LAYOUT.epochMs - 1);
    const options = { nodeId: 255, layout: NUMBER_LAYOUT, clock };
    const [numbers, bigints] = [new IdGenerator(options), new IdGenerator(options)];
    for (const tick of [0, 1, 2 ** 32 - 1]) {
      clock.ms = NUMBER_LAYOUT.epochMs + tick * 1000;
      for (let i = 0; i < 3; i++) assertEquals(BigInt(numbers.nextNumber()), bigints.nextId());
    }
  });

  it("fills with what pack() says, wherever the border of the 32-bit words lies, and however split", () => {
    for (const order of ["sequence-node", "node-sequence"] as const) {
      // With the node id below it, the sequence number lies across bit 32 (twice), ends before it, is one bit below it,
      // ...
      for (const [sequenceBits, nodeBits] of [[12, 26], [12, 31], [8, 24], [1, 31], [12, 15]]) {
        const layout = layoutOf(64 - sequenceBits - nodeBits, sequenceBits, nodeBits, order);
        for (const subnodeCount of [1, 3]) {
          const [nodeId, subnodeId, tick] = [layout.maxNodeId, subnodeCount - 1, layout.maxTick];
          const clock = new HandClock(EPOCH_MS - 1);
          const ids = new IdGenerator({ nodeId, subnodeId, subnodeCount, layout, clock });
          clock.ms = EPOCH_MS + tick * TICK_MS;
          const expected: bigint[] = [];
          for (let sequence = subnodeId; sequence <= layout.maxSequence; sequence += subnodeCount) {
            expected.push(layout.pack({ tick, sequence, nodeId }));
          }
          assertEquals(filled(ids, layout.maxSequence + 1).join(), expected.join());
        }
      }
    }
  });

  it("fills any memory that a BigUint64Array can be a view of, within the view's bounds", () => {
    for (const Memory of [ArrayBuffer, SharedArrayBuffer]) {
      for (const options of [undefined, { maxByteLength: 160 }]) {
        const { ids } = small();
        const memory = new Memory(80, options);
        const whole = new BigUint64Array(memory).fill(77n);
        assertEquals(ids.fill(new BigUint64Array(memory, 16, 3)), 3);
        assertEquals(ids.fill(new BigUint64Array(memory, 64)), 1);
        assertEquals([...whole], [77n, 77n, 1n, 5n, 9n, 77n, 77n, 77n, 13n, 77n]);
      }
    }
  });

  it("fills what is left of memory that was resized, and takes no ids for what is not there", () => {
    const { ids } = small();
    const memory = new ArrayBuffer(32, { maxByteLength: 64 });
    const tracking = new BigUint64Array(memory);
    const fixed = new BigUint64Array(memory, 8, 3);
    memory.resize(8);
    assertEquals(ids.fill(fixed), 0); // out of bounds
    assertEquals(ids.fill(tracking), 1);
    memory.resize(24);
    assertEquals(ids.fill(tracking), 3);
    assertEquals([...tracking], [5n, 9n, 13n]);
    memory.transfer();
    assertEquals(ids.fill(tracking), 0); // detached
  });

  it("fills from the front and leaves the rest alone", () => {
    const { ids } = small();
    const target = new BigUint64Array(6).fill(77n);
    assertEquals(ids.fill(target), 4);
    assertEquals([...target], [1n, 5n, 9n, 13n, 77n, 77n]);
    assertEquals(ids.fill(target), 0);
    assertEquals(target[0], 1n);
  });

  it("throws from fill() what waiting for a tick does not help against", () => {
    const { clock, ids } = small();
    clock.ms = EPOCH_MS - 1;
    assertThrows(() => ids.fill(new BigUint64Array(1)), ClockError);
    clock.ms = EPOCH_MS + 8 * TICK_MS;
    assertThrows(() => ids.fill(new BigUint64Array(1)), OutOfTimeError);
  });

  it("answers tryRange() with a status and writes the rest into the grant", () => {
    const { clock, ids } = small();
    const grant = new IdGrant();
    clock.ms = EPOCH_MS + 30;
    assertEquals(ids.tryRange(3, grant), IdStatus.OK);
    assertEquals({ ...grant, retryAfterMs: 0 }, { count: 3, firstHigh: 0, firstLow: 1, tick: 0, retryAfterMs: 0 });
    assertEquals(ids.tryRange(3, grant), IdStatus.OK);
    assertEquals([grant.count, grant.firstLow], [1, 13]);
    assertEquals(ids.tryRange(1, grant), IdStatus.OUT_OF_IDS);
    assertEquals([grant.count, grant.tick, grant.retryAfterMs], [0, 0, 70]);
    clock.ms = EPOCH_MS - 5;
    assertEquals(ids.tryRange(1, grant), IdStatus.CLOCK_BEHIND);
    assertEquals([grant.count, grant.tick, grant.retryAfterMs], [0, -1, 5]);
    clock.ms = EPOCH_MS + 8 * TICK_MS;
    assertEquals(ids.tryRange(1, grant), IdStatus.OUT_OF_TIME);
    assertEquals([grant.count, grant.tick, grant.retryAfterMs], [0, 8, 0]);
    for (const count of [0, -1, 1.5, NaN, 2 ** 32]) {
      assertThrows(() => ids.tryRange(count, grant), RangeError, "count must be");
    }
  });

  it("steps by the number of subnodes, at the sequence number's place", () => {
    assertEquals(new IdGenerator({ nodeId: 0, subnodeCount: 3 }).step, 3n << 10n);
    assertEquals(new IdGenerator({ nodeId: 0, subnodeCount: 3, layout: LAYOUTS.twitter }).step, 3n);
  });

  it("serves from the system's clock, ascending, no more than the layout has", async () => {
    const layout = new IdLayout({
      timeBits: 41,
      sequenceBits: 3,
      nodeBits: 10,
      tickMs: 1,
      epochMs: DEFAULT_LAYOUT.epochMs,
    });
    const ids = new IdGenerator({ nodeId: 9, layout });
    const beganMs = Date.now();
    const got: bigint[] = [];
    while (got.length < 1000) {
      try {
        got.push(ids.nextId());
      } catch (error) {
        if (!(error instanceof OutOfIdsError)) throw error;
        await new Promise((resolve) => setTimeout(resolve, error.retryAfterMs));
      }
    }
    assertEquals(new Set(got).size, 1000);
    assertEquals(got, got.toSorted((a, b) => a < b ? -1 : 1));
    const times = got.map((id) => layout.timestampOf(id).getTime());
    assert(times[0] >= beganMs && times[999] <= Date.now());
  });
});

describe("IdGenerator, exhaustively", () => {
  for (const order of ["sequence-node", "node-sequence"] as const) {
    for (const [way, takeAll] of Object.entries(WAYS)) {
      it(`gives every id of its node once and in order, however split: ${way}, ${order}`, () => {
        let checked = 0;
        for (let sequenceBits = 0; sequenceBits <= 4; sequenceBits++) {
          for (let nodeBits = 0; nodeBits <= 2; nodeBits++) {
            const layout = layoutOf(2, sequenceBits, nodeBits, order);
            for (let nodeId = 0; nodeId <= layout.maxNodeId; nodeId++) {
              // One to two subnodes more than there are sequence numbers.
              for (let subnodeCount = 1; subnodeCount <= layout.maxSequence + 3; subnodeCount++) {
                checkNode(layout, nodeId, subnodeCount, takeAll);
                checked++;
              }
            }
          }
        }
        assertEquals(checked, (1 + 2 + 4) * (3 + 4 + 6 + 10 + 18));
      });
    }
  }

  /** Runs all subnodes of a node through all ticks and compares with the list of the node's ids. */
  function checkNode(layout: IdLayout, nodeId: number, subnodeCount: number, takeAll: (ids: IdGenerator) => bigint[]) {
    const clock = new HandClock(EPOCH_MS - 1);
    const subnodes = Array.from(
      { length: subnodeCount },
      (_, subnodeId) => new IdGenerator({ nodeId, subnodeId, subnodeCount, layout, clock }),
    );
    for (let tick = 0; tick <= layout.maxTick; tick++) {
      clock.ms = EPOCH_MS + tick * TICK_MS;
      const seen = new Set<bigint>();
      for (const [subnodeId, ids] of subnodes.entries()) {
        const expected: bigint[] = [];
        for (let sequence = subnodeId; sequence <= layout.maxSequence; sequence += subnodeCount) {
          expected.push(layout.pack({ tick, sequence, nodeId }));
        }
        const got = takeAll(ids);
        assertEquals(got.join(), expected.join());
        got.forEach((id) => seen.add(id));
      }
      assertEquals(seen.size, layout.maxSequence + 1);
    }
    clock.ms = EPOCH_MS + (layout.maxTick + 1) * TICK_MS;
    assertThrows(() => subnodes[0].nextId(), OutOfTimeError);
  }

  it("agrees with pack() at the corners of every preset", () => {
    for (const layout of Object.values(LAYOUTS)) {
      for (const nodeId of [0, 1, layout.maxNodeId]) {
        for (const tick of [0, 1, layout.maxTick]) {
          const beginsMs = layout.epochMs + tick * layout.tickMs;
          const clock = new HandClock(layout.epochMs - 1);
          const ids = new IdGenerator({ nodeId, layout, clock });
          clock.ms = beginsMs;
          const first = ids.nextRange(layout.maxSequence);
          assertEquals(first.first, layout.pack({ tick, sequence: 0, nodeId }));
          assertEquals(first.last, layout.pack({ tick, sequence: layout.maxSequence - 1, nodeId }));
          assertEquals(ids.nextId(), layout.pack({ tick, sequence: layout.maxSequence, nodeId }));
        }
      }
    }
  });
});
