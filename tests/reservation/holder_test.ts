import { assert, assertEquals, assertExists, assertNotEquals, assertRejects, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import {
  ClockError,
  ClockJumpError,
  IdLayout,
  LayoutMismatchError,
  NodeHeldError,
  OutOfTimeError,
  type ReservationStore,
} from "../../mod.ts";
import type { FoundRecord } from "../../lib/reservation/checked_store.ts";
import { AHEAD_MS, ReservationHolder } from "../../lib/reservation/holder.ts";
import type { HolderOptions } from "../../lib/reservation/holder_options.ts";
import { HandClock } from "../id/hand_clock.ts";
import { type Fate, FlakyStore } from "./flaky_store.ts";
import { MemoryAttemptLog } from "../../lib/reservation/attempt_log.ts";
import { foundOf, foundRecord, markOf, namedRecordOf, overwrite, recordOf } from "./record_of.ts";

const EPOCH_MS = 1_000_000;
const TICK_MS = 1000;
const LAYOUT = new IdLayout({ timeBits: 20, sequenceBits: 2, nodeBits: 2, tickMs: TICK_MS, epochMs: EPOCH_MS });
/** How many ticks past the clock's the mark is. */
const AHEAD = AHEAD_MS / TICK_MS + 1;

/** A store, a clock in tick 100, and what holders of node 1 are made from. */
function setUp(layout = LAYOUT) {
  const clock = new HandClock(EPOCH_MS + 100 * TICK_MS);
  const monotonicClock = new HandClock(0);
  const store = new FlakyStore();
  const options = (name: string): HolderOptions => ({ store, nodeId: 1, layout, clock, monotonicClock, name });
  return { clock, monotonicClock, store, options };
}

/** The record of node 1, as a holder finds it. */
async function theFound(store: ReservationStore): Promise<FoundRecord> {
  const found = await foundOf(store, 1);
  assertExists(found);
  return found;
}

/** Goes on from a record whose mark is acknowledged. */
function resume(found: FoundRecord, options: HolderOptions): ReservationHolder {
  return ReservationHolder.resume(found, found.record.mark, options);
}

describe("ReservationHolder.claim", () => {
  it("begins after the clock's tick on a node with no record, and at the mark on one with", async () => {
    const { clock, options } = setUp();
    const first = await ReservationHolder.claim(options("a"));
    assertEquals([first.firstTick, first.mark], [101, 100 + AHEAD]);
    clock.ms += 60 * TICK_MS;
    const second = await ReservationHolder.claim(options("b"));
    assertEquals([second.firstTick, second.mark], [100 + AHEAD, 160 + AHEAD]);
  });

  it("never lowers a mark: with the clock behind it, there is nothing to be had", async () => {
    const { clock, options } = setUp();
    const { mark } = await ReservationHolder.claim(options("a"));
    clock.ms -= 50 * TICK_MS;
    const second = await ReservationHolder.claim(options("b"));
    assertEquals([second.firstTick, second.mark], [mark, mark]);
    await second.renew(-1);
    assertEquals(second.mark, mark);
  });

  it("reserves past a mark that is ahead of the clock if that is allowed", async () => {
    const { clock, options } = setUp();
    const { mark } = await ReservationHolder.claim({ ...options("a"), isBehindAllowed: true });
    clock.ms -= 50 * TICK_MS;
    const second = await ReservationHolder.claim({ ...options("b"), isBehindAllowed: true });
    assertEquals([second.firstTick, second.mark], [mark, mark + AHEAD]);
  });

  it("reserves a few seconds of any tick length, and no further than the layout goes", async () => {
    const ms = setUp(new IdLayout({ timeBits: 40, sequenceBits: 2, nodeBits: 2, tickMs: 1, epochMs: EPOCH_MS }));
    const holder = await ReservationHolder.claim(ms.options("a"));
    assertEquals([holder.firstTick, holder.mark], [100_001, 100_000 + AHEAD_MS + 1]);
    const short = setUp(
      new IdLayout({ timeBits: 6, sequenceBits: 2, nodeBits: 2, tickMs: TICK_MS, epochMs: EPOCH_MS }),
    );
    short.clock.ms = EPOCH_MS + 62 * TICK_MS;
    assertEquals((await ReservationHolder.claim(short.options("a"))).mark, 64);
  });

  it("writes nothing for a clock past the layout's last tick, and has the node again when that is put right", async () => {
    const layout = new IdLayout({ timeBits: 6, sequenceBits: 2, nodeBits: 2, tickMs: TICK_MS, epochMs: EPOCH_MS });
    const { clock, store, options } = setUp(layout);
    const message = "the clock is in tick 99, and the layout ends with tick 63";
    for (const isBehindAllowed of [false, true]) {
      clock.ms = EPOCH_MS + 99 * TICK_MS;
      const claim = () => ReservationHolder.claim({ ...options("a"), isBehindAllowed });
      await assertRejects(claim, OutOfTimeError, message);
      assertEquals(await store.read(1), undefined);
    }
    clock.ms = EPOCH_MS + 20 * TICK_MS;
    const holder = await ReservationHolder.claim(options("a"));
    const before = await recordOf(store, 1);
    clock.ms = EPOCH_MS + 99 * TICK_MS;
    await assertRejects(() => holder.renew(-1), OutOfTimeError, message);
    assertEquals(await recordOf(store, 1), before);
    clock.ms = EPOCH_MS + 21 * TICK_MS;
    await holder.renew(-1);
    assertEquals(holder.mark, 21 + AHEAD);
  });

  it("refuses a record of another layout, and a clock that gives no time", async () => {
    const { clock, options } = setUp();
    await ReservationHolder.claim(options("a"));
    const other = new IdLayout({ timeBits: 20, sequenceBits: 3, nodeBits: 2, tickMs: TICK_MS, epochMs: EPOCH_MS });
    await assertRejects(
      () => ReservationHolder.claim({ ...options("b"), layout: other }),
      LayoutMismatchError,
      "node 1 is on record with the layout v1 time=20 sequence=2 node=2 order=sequence-node tick_ms=1000 epoch_ms=1000000",
    );
    clock.ms = NaN;
    await assertRejects(
      () => ReservationHolder.claim(options("b")),
      ClockError,
      "the clock did not give a time",
    );
  });

  it("takes a record whose layout is an older sentence, and writes the key in its place", async () => {
    const sentence = "20/2/2 sequence-node, ticks of 1000 ms since 1970-01-01T00:16:40.000Z";
    const key = "v1 time=20 sequence=2 node=2 order=sequence-node tick_ms=1000 epoch_ms=1000000";
    const record = { mark: 104, holder: "old", layout: sentence };
    for (const change of ["claim", "renew", "release"]) {
      const { clock, store, options } = setUp();
      await overwrite(store, 1, record);
      clock.ms += TICK_MS;
      if (change === "claim") await ReservationHolder.claim(options("a"));
      if (change === "renew") await resume(await theFound(store), options("a")).renew(-1);
      if (change === "release") await resume(await theFound(store), options("a")).release();
      assertEquals((await recordOf(store, 1)).layout, key, change);
    }
  });

  it("fails if another takes the node at the same moment", async () => {
    const { options } = setUp();
    const results = await Promise.allSettled(
      ["a", "b", "c"].map((name) => ReservationHolder.claim(options(name))),
    );
    assertEquals(results.filter(({ status }) => status === "fulfilled").length, 1);
  });

  it("knows its own record if the reply gets lost, and writes it once more before it counts", async () => {
    const { store, options } = setUp();
    store.fates.push("after");
    const holder = await ReservationHolder.claim(options("a"));
    assertEquals([holder.firstTick, holder.mark, store.changes], [101, 100 + AHEAD, 2]);
    await holder.renew(-1);
    store.fates.push("before");
    await assertRejects(() => ReservationHolder.claim(options("b")), Error, "out of reach");
  });

  it("fails if its record is not there after the reply got lost, and begins past it if it arrives later", async () => {
    const { store, options } = setUp();
    store.fates.push("late");
    await assertRejects(() => ReservationHolder.claim(options("a")), Error, "out of reach");
    assert(await store.arrive());
    assertEquals((await ReservationHolder.claim(options("a"))).firstTick, 100 + AHEAD);
  });
});

describe("ReservationHolder.renew", () => {
  it("reserves no further for a tick that the holder does not own, whoever says that it was used", async () => {
    const { options } = setUp();
    const holder = await ReservationHolder.claim(options("a"));
    for (const usedTick of [Infinity, LAYOUT.maxTick, holder.mark, holder.mark - 1]) {
      const { mark } = holder;
      await holder.renew(usedTick);
      assert(holder.mark <= mark - 1 + AHEAD, `${holder.mark} after ${mark}`);
    }
  });

  it("goes with the clock, or with the last tick used, and writes every time", async () => {
    const { clock, store, options } = setUp();
    const holder = await ReservationHolder.claim(options("a"));
    const first = await recordOf(store, 1);
    await holder.renew(100);
    assertEquals([holder.mark, store.changes], [100 + AHEAD, 2]);
    assertNotEquals(await recordOf(store, 1), first, "whoever looks sees that the holder is alive");
    clock.ms += TICK_MS;
    await holder.renew(100);
    assertEquals([holder.mark, store.changes], [101 + AHEAD, 3]);
    await holder.renew(103);
    assertEquals([holder.mark, store.changes], [103 + AHEAD, 4]);
  });

  it("puts on record when it wrote it, by its clock, also as it gives the node back", async () => {
    const { clock, store, options } = setUp();
    const holder = await ReservationHolder.claim(options("a"));
    assertEquals((await recordOf(store, 1)).writtenMs, clock.ms);
    clock.ms += 1500.25;
    await holder.renew(0);
    assertEquals((await recordOf(store, 1)).writtenMs, Math.floor(clock.ms));
    clock.ms += 5;
    await holder.release();
    assertEquals((await recordOf(store, 1)).writtenMs, Math.floor(clock.ms));
  });

  it("keeps its mark when the node is taken, and can move it no more", async () => {
    const { clock, options } = setUp();
    const first = await ReservationHolder.claim(options("a"));
    const second = await ReservationHolder.claim(options("b"));
    clock.ms += 10 * TICK_MS;
    const message = "node 1 was taken by another holder: there can be only one at a time";
    await assertRejects(() => first.renew(-1), NodeHeldError, message);
    await assertRejects(() => first.release(), NodeHeldError, message);
    assertEquals(first.mark, second.firstTick);
    await second.renew(-1);
    assertEquals(second.mark, 110 + AHEAD);
  });

  for (const fate of ["before", "after"] as const) {
    it(`finds out what became of a change that failed ${fate} it was made`, async () => {
      const { clock, store, options } = setUp();
      const holder = await ReservationHolder.claim(options("a"));
      clock.ms += TICK_MS;
      store.fates.push(fate);
      await assertRejects(() => holder.renew(-1));
      assertEquals(holder.mark, 100 + AHEAD);
      await holder.renew(-1);
      assertEquals([holder.mark, await markOf(store, 1)], [101 + AHEAD, 101 + AHEAD]);
      clock.ms += TICK_MS;
      await holder.renew(-1);
      assertEquals([holder.mark, await markOf(store, 1)], [102 + AHEAD, 102 + AHEAD]);
    });
  }
});

describe("ReservationHolder, with a store so slow that a renewal overlaps the next", () => {
  it("does not fall back to an earlier mark when an earlier reply comes late", async () => {
    const { clock, store, options } = setUp();
    const holder = await ReservationHolder.claim(options("a"));
    clock.ms += TICK_MS;
    const reply = store.holdNextReply();
    const slow = holder.renew(-1);
    clock.ms += TICK_MS;
    await holder.renew(-1);
    assertEquals(holder.mark, 102 + AHEAD);
    reply.resolve();
    await slow;
    // Whoever replaces a worker that knew of the higher mark would begin at the lower one.
    assertEquals(holder.mark, 102 + AHEAD);
  });
});

describe("ReservationHolder, with a store that takes its time", () => {
  it("reserves further ahead by twice that, and less again when it is quick again", async () => {
    const { clock, monotonicClock, store, options } = setUp();
    const holder = await ReservationHolder.claim(options("a"));
    assertEquals(holder.aheadMs, AHEAD * TICK_MS);
    clock.ms += TICK_MS;
    const reply = store.holdNextReply();
    const renewal = holder.renew(-1);
    monotonicClock.ms += 4000;
    reply.resolve();
    await renewal;
    clock.ms += TICK_MS;
    await holder.renew(-1);
    assertEquals(holder.mark, 102 + AHEAD + 8);
    for (let i = 0; i < 2000; i++) {
      clock.ms += TICK_MS;
      await holder.renew(-1);
    }
    assertEquals(holder.aheadMs, (AHEAD + 1) * TICK_MS);
  });

  it("does so also if that takes so long that it fails, but only up to a minute", async () => {
    const { clock, monotonicClock, store, options } = setUp();
    const holder = await ReservationHolder.claim(options("a"));
    clock.ms += TICK_MS;
    store.fates.push("after");
    const reply = store.holdNextReply();
    const renewal = assertRejects(() => holder.renew(-1), Error, "the reply got lost");
    monotonicClock.ms += 400_000;
    reply.resolve();
    await renewal;
    assertEquals(holder.aheadMs, 61 * TICK_MS);
  });
});

describe("ReservationHolder with another distance", () => {
  it("reserves as far ahead as it is told", async () => {
    const { clock, options } = setUp();
    const holder = await ReservationHolder.claim({ ...options("a"), aheadMs: 15_000 });
    assertEquals([holder.mark, holder.aheadMs], [116, 16 * TICK_MS]);
    clock.ms += TICK_MS;
    await holder.renew(-1);
    assertEquals(holder.mark, 117);
    const { mark } = resume(
      foundRecord({ mark: 117, holder: "a", layout: LAYOUT.key }),
      options("b"),
    );
    assertEquals(mark, 117);
  });

  it("does not lower its mark where the one before it went further", async () => {
    const { store, options } = setUp();
    await ReservationHolder.claim({ ...options("a"), aheadMs: 15_000 });
    const resumed = resume(await theFound(store), options("b"));
    await resumed.renew(-1);
    assertEquals([resumed.mark, (await recordOf(store, 1)).mark, store.changes], [116, 116, 2]);
  });
});

describe("ReservationHolder, with a clock that jumps ahead", () => {
  const HOUR = 3600;
  const YEAR_MS = 365.25 * 24 * HOUR * 1000;

  it("follows at once by an hour, and by as much as the monotonic clock confirms", async () => {
    const { clock, monotonicClock, options } = setUp();
    const holder = await ReservationHolder.claim(options("a"));
    clock.ms += HOUR * TICK_MS;
    await holder.renew(-1);
    assertEquals(holder.mark, 100 + HOUR + AHEAD);
    clock.ms += 49 * HOUR * TICK_MS;
    monotonicClock.ms += 48 * HOUR * TICK_MS; // the process was stopped for two days
    await holder.renew(-1);
    assertEquals(holder.mark, 100 + 50 * HOUR + AHEAD);
  });

  it("costs the node two hours if the clock shows another year for two renewals", async () => {
    const layout = new IdLayout({ timeBits: 37, sequenceBits: 2, nodeBits: 2, tickMs: TICK_MS, epochMs: EPOCH_MS });
    const { clock, options } = setUp(layout);
    const holder = await ReservationHolder.claim(options("a"));
    clock.ms += 25 * YEAR_MS;
    const error = await assertRejects(() => holder.renew(-1), ClockJumpError, "the clock has jumped ahead by 788");
    assertEquals(error.jumpMs, 25 * YEAR_MS - HOUR * TICK_MS);
    assertEquals(error.retryAfterMs, 25 * YEAR_MS / HOUR - TICK_MS);
    await assertRejects(() => holder.renew(-1), ClockJumpError);
    assertEquals(holder.mark, 100 + 2 * HOUR + AHEAD);
    clock.ms -= 25 * YEAR_MS;
    await holder.renew(-1);
    assertEquals(holder.mark, 100 + 2 * HOUR + AHEAD);
  });

  it("arrives, if the clock stays there", async () => {
    const { clock, options } = setUp();
    const holder = await ReservationHolder.claim(options("a"));
    clock.ms += 8 * HOUR * TICK_MS;
    for (let i = 1; i < 8; i++) await assertRejects(() => holder.renew(-1), ClockJumpError);
    await holder.renew(-1);
    assertEquals(holder.mark, 100 + 8 * HOUR + AHEAD);
  });

  it("counts the time since the last renewal that succeeded", async () => {
    const { clock, monotonicClock, store, options } = setUp();
    const holder = await ReservationHolder.claim(options("a"));
    store.isOut = true;
    for (let hour = 0; hour < 5; hour++) {
      clock.ms += HOUR * TICK_MS;
      monotonicClock.ms += HOUR * TICK_MS;
      await assertRejects(() => holder.renew(-1), Error, "out of reach");
    }
    store.isOut = false;
    await holder.renew(-1);
    assertEquals(holder.mark, 100 + 5 * HOUR + AHEAD);
  });

  it("is not what a renewal reports that another one has overtaken twice", async () => {
    const { clock, store, options } = setUp();
    const attempts = new MemoryAttemptLog();
    const first = await ReservationHolder.claim({ ...options("a"), attempts });
    const overtaking: ReservationStore = {
      read: (nodeId) => store.read(nodeId),
      compareAndSet: async (...args) => {
        await first.renew(-1);
        return await store.compareAndSet(...args);
      },
    };
    const second = resume(await theFound(store), {
      ...{ ...options("b"), store: overtaking, attempts, aheadMs: 15_000 },
    });
    await second.renew(-1);
    clock.ms += TICK_MS;
    await second.renew(-1);
  });

  it("does not concern who goes on after a holder that ended long ago", async () => {
    const { clock, store, options } = setUp();
    const attempts = new MemoryAttemptLog();
    await ReservationHolder.claim({ ...options("a"), attempts });
    clock.ms += 30 * HOUR * TICK_MS;
    const resumed = resume(await theFound(store), { ...options("b"), attempts });
    await resumed.renew(-1);
    assertEquals(resumed.mark, 100 + 30 * HOUR + AHEAD);
  });
});

/** A log that can be copied, as a virtual machine's memory can. */
class CopiedLog extends MemoryAttemptLog {
  readonly #noted: string[] = [];

  override note(attempt: string): void {
    super.note(attempt);
    this.#noted.push(attempt);
  }

  copy(): CopiedLog {
    const copy = new CopiedLog();
    for (const attempt of this.#noted.filter((attempt) => this.has(attempt))) copy.note(attempt);
    return copy;
  }
}

describe("ReservationHolder, whose memory is copied", () => {
  /** A holder and its copy, which have both seen the same until now. */
  async function setUpCopies(fate?: Fate) {
    const world = setUp();
    const attempts = new CopiedLog();
    const original = await ReservationHolder.claim({ ...world.options("a"), attempts });
    const seen = await theFound(world.store);
    world.clock.ms += TICK_MS;
    if (fate !== undefined) {
      world.store.fates.push(fate);
      await assertRejects(() => original.renew(-1));
    }
    const copy = resume(seen, { ...world.options("a"), attempts: attempts.copy() });
    return { ...world, original, copy };
  }

  for (const fate of [undefined, "before", "after", "late"] as const) {
    for (const isOriginalFirst of [true, false]) {
      const [winner, loser] = isOriginalFirst ? ["original", "copy"] : ["copy", "original"];
      const after = fate === undefined ? "" : `, after a renewal that failed (${fate})`;
      it(`leaves the node to the ${winner}, which writes first, and takes it from the ${loser}${after}`, async () => {
        const { clock, store, original, copy } = await setUpCopies(fate);
        const [first, second] = isOriginalFirst ? [original, copy] : [copy, original];
        await first.renew(-1);
        if (fate === "late") assert(!await store.arrive());
        await assertRejects(() => second.renew(-1), NodeHeldError);
        clock.ms += 10 * TICK_MS;
        await first.renew(-1);
        await assertRejects(() => second.renew(-1), NodeHeldError);
        await assertRejects(() => second.release(5), NodeHeldError);
        // Both had what was reserved when the copy was made; all that was reserved since is the first one's.
        assertEquals([first.mark, second.mark], [111 + AHEAD, 100 + AHEAD]);
      });
    }
  }

  it("takes the node from the second one of two that write the very same at the same instant", async () => {
    const { clock, store, options } = setUp();
    const attempts = new CopiedLog();
    const fillRandom = (bytes: Uint8Array) => void bytes.fill(7);
    const original = await ReservationHolder.claim({ ...options("a"), attempts, fillRandom });
    const known = { ...options("a"), attempts: attempts.copy(), fillRandom };
    const copy = resume(await theFound(store), known);
    clock.ms += TICK_MS;
    const [now, monotonicNow] = [Date.now, performance.now];
    [Date.now, performance.now] = [() => 1_900_000_000_000, () => 5];
    try {
      await original.renew(-1);
      await assertRejects(() => copy.renew(-1), NodeHeldError);
    } finally {
      [Date.now, performance.now] = [now, monotonicNow];
    }
    assertEquals([original.mark, copy.mark], [101 + AHEAD, 100 + AHEAD]);
  });
});

describe("ReservationHolder, with a store that does not answer for long", () => {
  it("knows a change that the store makes late, whichever it is", async () => {
    for (const index of [0, 1, 50, 126]) {
      const { clock, store, options } = setUp();
      const holder = await ReservationHolder.claim(options("a"));
      for (let i = 0; i < 127; i++) {
        clock.ms += TICK_MS;
        store.fates.push("late");
        await assertRejects(() => holder.renew(-1), Error, "out of reach");
      }
      assert(await store.arrive(index));
      clock.ms += TICK_MS;
      await holder.renew(-1);
      assertEquals(holder.mark, 228 + AHEAD);
    }
  });

  it("reads before it writes any more, once it has noted as many attempts as there is room for", async () => {
    const { clock, store, options } = setUp();
    const holder = await ReservationHolder.claim(options("a"));
    for (let i = 0; i < 127; i++) {
      store.fates.push("late");
      await assertRejects(() => holder.renew(-1), Error, "out of reach");
    }
    store.isOut = true;
    await assertRejects(() => holder.renew(-1), Error, "out of reach");
    assertEquals(store.lateCount, 127, "it has asked for nothing that it could not note");
    store.isOut = false;
    clock.ms += TICK_MS;
    await holder.renew(-1);
    assertEquals(holder.mark, 101 + AHEAD);
    while (store.lateCount > 0) assert(!await store.arrive());
    await holder.renew(-1);
  });

  it("does not forget a later attempt when the answer to an earlier one comes late", async () => {
    const { clock, store, options } = setUp();
    const holder = await ReservationHolder.claim(options("a"));
    clock.ms += TICK_MS;
    const reply = store.holdNextReply();
    const slow = holder.renew(-1);
    clock.ms += TICK_MS;
    store.fates.push("well", "after"); // refused, since the slow one was made; then made, but the reply gets lost
    await assertRejects(() => holder.renew(-1), Error, "the reply got lost");
    reply.resolve();
    await slow;
    clock.ms += TICK_MS;
    await holder.renew(-1);
    assertEquals(holder.mark, 103 + AHEAD);
  });
});

describe("ReservationHolder.resume", () => {
  it("goes on under the name on record, and writes nothing", async () => {
    const { clock, store, options } = setUp();
    await ReservationHolder.claim(options("a"));
    const resumed = resume(await theFound(store), options("b"));
    assertEquals([resumed.nodeId, resumed.firstTick, resumed.mark], [1, 100 + AHEAD, 100 + AHEAD]);
    assertEquals(store.changes, 1);
    clock.ms += TICK_MS;
    await resumed.renew(-1);
    assertEquals(await namedRecordOf(store, 1), { mark: 101 + AHEAD, holder: "a", layout: LAYOUT.key });
  });

  it("takes a renewal of the one before it for its own, also if that arrives late", async () => {
    const { clock, store, options } = setUp();
    const attempts = new MemoryAttemptLog();
    const first = await ReservationHolder.claim({ ...options("a"), attempts });
    clock.ms += TICK_MS;
    store.fates.push("late");
    await assertRejects(() => first.renew(-1));
    const resumed = resume(await theFound(store), { ...options("b"), attempts });
    assert(await store.arrive());
    clock.ms += TICK_MS;
    await resumed.renew(-1);
    assertEquals([resumed.mark, await markOf(store, 1)], [102 + AHEAD, 102 + AHEAD]);
  });

  it("is one of two that renew, as long as the one before it does: both keep up", async () => {
    const { clock, store, options } = setUp();
    const attempts = new MemoryAttemptLog();
    const first = await ReservationHolder.claim({ ...options("a"), attempts });
    const resumed = resume(await theFound(store), { ...options("b"), attempts });
    for (let tick = 101; tick < 104; tick++) {
      clock.ms += TICK_MS;
      for (const holder of [first, resumed]) {
        await holder.renew(-1);
        assertEquals([holder.mark, await markOf(store, 1)], [tick + AHEAD, tick + AHEAD]);
      }
    }
  });

  it("refuses a record of another layout", () => {
    const { options } = setUp();
    assertThrows(
      () => resume(foundRecord({ mark: 117, holder: "a", layout: "another" }), options("b")),
      LayoutMismatchError,
      "node 1 is on record with the layout another, and was asked for with v1 time=20 sequence=2 node=2",
    );
  });
});

describe("ReservationHolder.release", () => {
  it("gives the node back, but not its ticks", async () => {
    const { store, options } = setUp();
    const holder = await ReservationHolder.claim(options("a"));
    store.fates.push("after");
    await assertRejects(() => holder.release());
    await assertRejects(() => holder.release(), NodeHeldError); // it has been given back, and is nobody's now
    assertEquals(await namedRecordOf(store, 1), { mark: 100 + AHEAD, holder: "", layout: LAYOUT.key });
    assertEquals((await ReservationHolder.claim(options("b"))).firstTick, 100 + AHEAD);
  });

  it("gives the node back also if an earlier renewal's reply got lost", async () => {
    const { clock, store, options } = setUp();
    const holder = await ReservationHolder.claim(options("a"));
    clock.ms += TICK_MS;
    store.fates.push("after");
    await assertRejects(() => holder.renew(-1));
    await holder.release();
    assertEquals(await namedRecordOf(store, 1), { mark: 101 + AHEAD, holder: "", layout: LAYOUT.key });
  });

  it("gives back with it the ticks that are unused, in the same change", async () => {
    const { store, options } = setUp();
    const holder = await ReservationHolder.claim(options("a"));
    await holder.release(102);
    assertEquals(await namedRecordOf(store, 1), { mark: 102, holder: "", layout: LAYOUT.key });
    assertEquals(store.changes, 2);
    assertEquals((await ReservationHolder.claim(options("b"))).firstTick, 102);
  });

  it("never raises the mark", async () => {
    const { store, options } = setUp();
    const holder = await ReservationHolder.claim(options("a"));
    await holder.release(1000);
    assertEquals(await markOf(store, 1), 100 + AHEAD);
  });

  for (const fate of ["before", "after", "late"] as const) {
    it(`gives unused ticks back after a renewal that failed ${fate === "late" ? "and arrives late" : fate}`, async () => {
      const { clock, store, options } = setUp();
      const holder = await ReservationHolder.claim(options("a"));
      clock.ms += TICK_MS;
      store.fates.push(fate);
      await assertRejects(() => holder.renew(-1));
      await holder.release(103);
      assertEquals(await namedRecordOf(store, 1), { mark: 103, holder: "", layout: LAYOUT.key });
      if (fate === "late") assert(!await store.arrive(), "the record that it was to replace is gone");
      assertEquals(await namedRecordOf(store, 1), { mark: 103, holder: "", layout: LAYOUT.key });
    });
  }

  it("gives nothing back of a node that another has taken", async () => {
    const { store, options } = setUp();
    const first = await ReservationHolder.claim(options("a"));
    const second = await ReservationHolder.claim(options("b"));
    await assertRejects(() => first.release(101), NodeHeldError);
    assertEquals(await markOf(store, 1), second.mark);
  });

  it("gives nothing back late of a node that another has taken since", async () => {
    const { store, options } = setUp();
    const first = await ReservationHolder.claim(options("a"));
    store.fates.push("late");
    await assertRejects(() => first.release(101), Error, "out of reach");
    const second = await ReservationHolder.claim(options("b"));
    assertEquals(second.firstTick, 100 + AHEAD);
    assert(!await store.arrive());
    assertEquals(await namedRecordOf(store, 1), { mark: second.mark, holder: "b", layout: LAYOUT.key });
  });
});
