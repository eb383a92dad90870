import { assert, assertEquals, assertGreater, assertInstanceOf, assertRejects } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { claimNode } from "../../lib/reservation/claim.ts";
import { ReservationHolder } from "../../lib/reservation/holder.ts";
import type { HolderOptions } from "../../lib/reservation/holder_options.ts";
import { LEAD_MS, SETTLE_MS, SHARED_RENEW_MS, SKEW_MS } from "../../lib/reservation/shared_store.ts";
import {
  ClockSkewError,
  type GlobalIdError,
  IdLayout,
  NodeHeldError,
  type ReservationStore,
  StoreWentBackError,
} from "../../mod.ts";
import { HandClock } from "../id/hand_clock.ts";
import { holderNameOf, markOf, overwrite, recordOf } from "./record_of.ts";
import { SharedFlakyStore } from "./shared_flaky_store.ts";

const TICK_MS = 1000;
const LAYOUT = new IdLayout({ timeBits: 30, sequenceBits: 2, nodeBits: 2, tickMs: TICK_MS, epochMs: 0 });
/** When it all begins. */
const T0 = 1_000_000;
const T0_TICK = T0 / TICK_MS;

/** A machine: its clock, and holders of node 1 there. */
class Machine {
  readonly clock: HandClock;
  readonly warnings: GlobalIdError[] = [];

  private readonly name: string;
  private readonly world: World;

  constructor(name: string, world: World, skewMs: number) {
    this.name = name;
    this.world = world;
    this.clock = new HandClock(world.time.ms + skewMs);
  }

  options(change: Partial<HolderOptions> = {}): HolderOptions {
    return {
      ...{ store: this.world.store, nodeId: 1, layout: LAYOUT, clock: this.clock, name: this.name },
      ...{ monotonicClock: this.world.monotonicClock, warn: (warning) => this.warnings.push(warning), ...change },
    };
  }

  claim(change: Partial<HolderOptions> = {}): Promise<ReservationHolder> {
    return ReservationHolder.claim(this.options(change));
  }
}

/** A store and its time, and machines that share it. */
class World {
  readonly time = new HandClock(T0);
  readonly monotonicClock = new HandClock(0);
  readonly store = new SharedFlakyStore(this.time);
  readonly #machines: Machine[] = [];

  machine(name: string, skewMs = 0): Machine {
    const machine = new Machine(name, this, skewMs);
    this.#machines.push(machine);
    return machine;
  }

  /** Lets time pass, everywhere. */
  pass(ms: number): void {
    for (const clock of [this.time, this.monotonicClock, ...this.#machines.map(({ clock }) => clock)]) clock.ms += ms;
  }

  /** Lets time pass, in which holders renew as often as they are to. */
  async passRenewing(ms: number, ...holders: ReservationHolder[]): Promise<void> {
    for (let passedMs = 0; passedMs < ms; passedMs += SHARED_RENEW_MS) {
      this.pass(Math.min(SHARED_RENEW_MS, ms - passedMs));
      for (const holder of holders) await holder.renew(-1);
    }
  }

  /** The tick of the store's time, or of one so much later. */
  tick(afterMs = 0): number {
    return Math.floor((this.time.ms + afterMs) / TICK_MS);
  }
}

/** Fails if two holders own a tick both. */
function assertApart(...holders: ReservationHolder[]): void {
  const owned = holders.flatMap(({ firstTick, mark }) => firstTick < mark ? [[firstTick, mark]] : [])
    .sort(([a], [b]) => a - b);
  for (const [i, [firstTick]] of owned.entries()) {
    assert(i === 0 || firstTick >= owned[i - 1][1], `two holders own ticks both: ${owned.join("; ")}`);
  }
}

describe("the times that hold for shared stores", () => {
  it("are the same in every release: holders rely on the bounds of those that other releases run", () => {
    assertEquals({ LEAD_MS, SKEW_MS, SETTLE_MS }, { LEAD_MS: 10_000, SKEW_MS: 2000, SETTLE_MS: 14_000 });
  });
});

describe("a claim in a store that machines share", () => {
  it("owns nothing until all is over that an earlier holder can have reserved", async () => {
    const world = new World();
    const holder = await world.machine("a").claim();
    assertEquals([holder.firstTick, holder.mark], [T0_TICK + SETTLE_MS / TICK_MS + 1, holder.firstTick]);
    assertEquals(holder.settledAtMs, holder.firstTick * TICK_MS);
    await world.passRenewing(SETTLE_MS, holder);
    assertEquals(holder.mark, holder.firstTick, "it has renewed, and owns nothing yet");
    assertEquals(holder.renewAfterMs, TICK_MS, "it renews as soon as it can have ticks");
    await world.passRenewing(holder.renewAfterMs, holder);
    assertEquals([holder.settledAtMs, holder.mark], [undefined, world.tick(LEAD_MS) + 1]);
  });

  it("begins later if it took long, and after the record's mark if that is later", async () => {
    const world = new World();
    const a = world.machine("a");
    const reply = world.store.holdNextReply();
    const claim = a.claim();
    for (let turn = 0; turn < 20; turn++) await Promise.resolve();
    world.pass(60_000);
    reply.resolve();
    assertEquals((await claim).firstTick, T0_TICK + 60 + SETTLE_MS / TICK_MS + 1);
    await overwrite(world.store, 1, { mark: T0_TICK + 5000 });
    assertEquals((await a.claim()).firstTick, T0_TICK + 5000);
  });

  it("goes by the store's time, not by its own clock", async () => {
    const world = new World();
    for (const skewMs of [-SKEW_MS, SKEW_MS]) {
      const holder = await world.machine(`off by ${skewMs}`, skewMs).claim({ nodeId: 2 + Math.sign(skewMs) });
      assertEquals(holder.firstTick, world.tick(SETTLE_MS) + 1);
    }
  });

  it("fails if another takes the node before it is on record where it begins", async () => {
    const world = new World();
    const a = world.machine("a");
    let others: ReservationHolder | undefined;
    const slow: ReservationStore = {
      now: async () => {
        if (await holderNameOf(world.store, 1) === "a") others = await world.machine("b").claim();
        world.pass(10_000);
        return await world.store.now();
      },
      read: (nodeId) => world.store.read(nodeId),
      compareAndSet: (...change) => world.store.compareAndSet(...change),
    };
    await assertRejects(() => a.claim({ store: slow }), NodeHeldError);
    assertEquals(await markOf(world.store, 1), others?.firstTick);
  });

  it("begins at once if the store is trusted", async () => {
    const world = new World();
    const holder = await world.machine("a").claim({ trustStore: true });
    assertEquals([holder.firstTick, holder.mark, holder.settledAtMs], [
      T0_TICK + 1,
      T0_TICK + LEAD_MS / TICK_MS + 1,
      undefined,
    ]);
  });

  for (const [what, skewMs] of [["ahead of", 3_600_000], ["behind", -3_600_000]] as const) {
    it(`is refused if the clock is ${what} the store's, and writes nothing`, async () => {
      const world = new World();
      const machine = world.machine("a", skewMs);
      const message = `the clock is 3600.0 s ${what} the reservation store's, and 2 s are allowed: put`;
      const error = await assertRejects(() => machine.claim(), ClockSkewError, message);
      assertEquals([error.skewMs, world.store.changes], [skewMs, 0]);
      machine.clock.ms -= skewMs;
      await machine.claim();
    });
  }

  it("knows its own record if the reply gets lost, at once", async () => {
    const world = new World();
    world.store.fates.push("after");
    const holder = await world.machine("a").claim();
    assertEquals([await holderNameOf(world.store, 1), world.store.changes], ["a", 3]);
    await world.passRenewing(SETTLE_MS + TICK_MS, holder);
    assert(holder.mark > holder.firstTick);
  });

  it("takes the word of the machines' clocks if the store tells no time", async () => {
    const world = new World();
    const { store } = world;
    const silent: ReservationStore = {
      read: (nodeId) => store.read(nodeId),
      compareAndSet: (...args) => store.compareAndSet(...args),
    };
    const holder = await world.machine("a", 3_600_000).claim({ store: silent });
    assertEquals(holder.firstTick, world.tick(3_600_000 + SETTLE_MS) + 1);
  });
});

describe("a holder in a store that machines share", () => {
  async function setUp() {
    const world = new World();
    const a = world.machine("a");
    const holder = await a.claim();
    await world.passRenewing(SETTLE_MS + 2 * TICK_MS, holder);
    return { world, a, holder, limit: () => world.tick(LEAD_MS + SKEW_MS) + 1 };
  }

  it("reserves 10 s ahead, however slow the store is", async () => {
    const { world, holder } = await setUp();
    const reply = world.store.holdNextReply();
    const renewal = holder.renew(-1);
    for (let turn = 0; turn < 20; turn++) await Promise.resolve();
    world.pass(30_000);
    reply.resolve();
    await renewal;
    await holder.renew(-1);
    assertEquals([holder.mark, holder.aheadMs], [world.tick(LEAD_MS) + 1, LEAD_MS + TICK_MS]);
  });

  it("has ids for 8 s at least when the store goes away", async () => {
    const { world, holder } = await setUp();
    for (let phaseMs = 0; phaseMs < TICK_MS; phaseMs += 100) {
      await holder.renew(-1);
      assert(holder.renewAfterMs <= SHARED_RENEW_MS);
      assert(holder.mark * TICK_MS - world.time.ms - SHARED_RENEW_MS >= 8000);
      world.pass(100);
    }
  });

  it("renews at times that are spread out, so that those who were started at once do not write at once for ever", async () => {
    const world = new World();
    const holder = await world.machine("a").claim({ trustStore: true });
    const delays = Array.from({ length: 100 }, () => holder.renewAfterMs);
    // If they are spread evenly, all are closer to each other in one of 10^14 runs.
    assertGreater(Math.max(...delays) - Math.min(...delays), SHARED_RENEW_MS / 12);
  });

  it("reserves no further than the store's time allows, whatever its clock says, and what it has used", async () => {
    const { world, a, holder, limit } = await setUp();
    a.clock.ms += 600_000;
    await holder.renew(-1);
    assertEquals(holder.mark, limit());
    a.clock.ms -= 1_200_000;
    await holder.renew(world.tick(300_000));
    assertEquals(holder.mark, limit());
  });

  it("tells once that its clock is off, and goes on", async () => {
    const { world, a, holder } = await setUp();
    a.clock.ms += 10_000;
    await world.passRenewing(60_000, holder);
    a.clock.ms -= 10_000;
    await world.passRenewing(60_000, holder);
    a.clock.ms -= 5000;
    await world.passRenewing(60_000, holder);
    assertEquals(a.warnings.map(({ message }) => message.slice(0, 27)), [
      "the clock is 10.0 s ahead o",
      "the clock is 5.0 s behind t",
    ]);
    assertInstanceOf(a.warnings[0], ClockSkewError);
  });

  it("has ticks again at once when the machine wakes up, whose monotonic clock stood still", async () => {
    const { world, a, holder } = await setUp();
    world.time.ms += 7_200_000;
    a.clock.ms += 7_200_000;
    await holder.renew(-1);
    assertEquals(holder.mark, world.tick(LEAD_MS) + 1);
  });

  it("does not count a mark that it has only read: that write may never have been kept", async () => {
    const { world, holder } = await setUp();
    const before = await world.store.list();
    const { mark } = holder;
    world.pass(SHARED_RENEW_MS);
    world.store.fates.push("after", "well", "after"); // it is made; refused; and made after the look, without a reply
    await assertRejects(() => holder.renew(-1), Error, "the reply got lost");
    await assertRejects(() => holder.renew(-1), Error, "the reply got lost");
    assertEquals(holder.mark, mark);
    await world.store.goBack(before);
    const next = await world.machine("b").claim();
    assertApart(holder, next);
    await holder.renew(-1).catch(() => {});
    assertApart(holder, next);
  });

  it("does not lower the mark when it gives the node back", async () => {
    const { world, holder } = await setUp();
    await holder.release(holder.firstTick + 1);
    assertEquals([await markOf(world.store, 1), await holderNameOf(world.store, 1)], [holder.mark, ""]);
  });

  it("tells when the history of the data is another one, or falls back", async () => {
    const { world, a, holder } = await setUp();
    const { store } = world;
    for (const history of [{ id: "x", revision: 7 }, { id: "x", revision: 8 }, { id: "x", revision: 3 }, undefined]) {
      store.history = history;
      await holder.renew(-1);
    }
    store.history = { id: "y", revision: 4 };
    await holder.renew(-1);
    store.history = { id: "z", revision: 5 };
    await holder.renew(-1);
    assertEquals(a.warnings.map(({ message }) => message.split(":")[0]), [
      "the reservation store is at the revision 3, and was at 8",
      "the reservation store is of the history z now, and was of y",
    ]);
  });

  it("follows its clock like any holder if the store tells no time, within the lead", async () => {
    const world = new World();
    const { store } = world;
    const silent: ReservationStore = {
      read: (nodeId) => store.read(nodeId),
      compareAndSet: (...args) => store.compareAndSet(...args),
    };
    const a = world.machine("a");
    const holder = await a.claim({ store: silent });
    await world.passRenewing(SETTLE_MS + 2 * TICK_MS, holder);
    await holder.renew(world.tick(300_000));
    assertEquals(holder.mark, world.tick(LEAD_MS + SKEW_MS) + 1);
  });
});

describe("a store that goes back", () => {
  /** A holder with ids, and the state of the store some seconds ago. */
  async function setUp(backMs: number) {
    const world = new World();
    const a = world.machine("a");
    const empty = await world.store.list();
    const holder = await a.claim();
    await world.passRenewing(SETTLE_MS + 30_000 - backMs, holder);
    const before = await world.store.list();
    await world.passRenewing(backMs, holder);
    return { world, a, holder, before, empty };
  }

  for (const [what, backMs] of [["a standby that lagged", SHARED_RENEW_MS], ["an old backup", 25_000]] as const) {
    it(`to ${what}, gives nobody what the holder may still use`, async () => {
      const { world, holder, before } = await setUp(backMs);
      await world.store.goBack(before);
      const b = await world.machine("b").claim();
      assertApart(holder, b);
      await assertRejects(() => holder.renew(-1), NodeHeldError, "node 1 was taken by another holder");
      await world.passRenewing(60_000, b);
      assertApart(holder, b);
      assert(b.mark > b.firstTick);
    });

    it(`to ${what}, has its record written again, which the holder tells`, async () => {
      const { world, a, holder, before } = await setUp(backMs);
      await world.store.goBack(before);
      await world.passRenewing(SHARED_RENEW_MS, holder);
      assertEquals([await holderNameOf(world.store, 1), await markOf(world.store, 1)], ["a", holder.mark]);
      assertEquals(holder.mark, world.tick(LEAD_MS) + 1);
      assertEquals(a.warnings.map(({ message }) => message), [
        "the record of node 1 is older than it was: the store has gone back; this holder writes it again",
      ]);
      assertInstanceOf(a.warnings[0], StoreWentBackError);
      await world.passRenewing(60_000, holder);
      assertEquals(a.warnings.length, 1);
    });
  }

  it("and loses a record, has it written again, unless another has taken the node", async () => {
    const { world, a, holder, empty } = await setUp(0);
    await world.store.goBack(empty);
    await world.passRenewing(SHARED_RENEW_MS, holder);
    assertEquals(a.warnings.map(({ message }) => message), [
      "the record of node 1 is gone: the store has gone back; this holder writes it again",
    ]);
    assertEquals(await holderNameOf(world.store, 1), "a");
    await world.store.goBack(empty);
    const b = await world.machine("b").claim();
    await assertRejects(() => holder.renew(-1), NodeHeldError, "was taken by another holder");
    assertApart(holder, b);
  });

  it("to before a holder had the node, has its record written again", async () => {
    const { world, holder: first } = await setUp(0);
    const firstHad = await world.store.list();
    await first.release(first.mark);
    const free = await world.store.list();
    const b = world.machine("b");
    const second = await b.claim();
    await world.passRenewing(SETTLE_MS + 10_000, second);
    await world.store.goBack(free);
    await world.passRenewing(SHARED_RENEW_MS, second);
    assertEquals([await holderNameOf(world.store, 1), b.warnings.length], ["b", 1]);
    await world.store.goBack(firstHad);
    const message = 'the record of node 1 is older than it was: the store has gone back, and the holder "a", since';
    await assertRejects(() => second.renew(-1), NodeHeldError, message);
    assertApart(first, second);
  });

  it("does not overwrite a holder that has taken the node since, though its beat is lower", async () => {
    const { world, holder, before } = await setUp(25_000);
    const { beat } = await recordOf(world.store, 1);
    await world.store.goBack(before);
    const b = await world.machine("b").claim();
    assert((await recordOf(world.store, 1)).beat < beat);
    for (let i = 0; i < 3; i++) await assertRejects(() => holder.renew(-1), NodeHeldError);
    assertEquals(await holderNameOf(world.store, 1), "b");
    await world.passRenewing(SETTLE_MS + 10_000, b);
    assertApart(holder, b);
  });

  it("does not overwrite an earlier holder that has renewed since", async () => {
    const { world, holder: first } = await setUp(0);
    const firstHad = await world.store.list();
    const second = await world.machine("b").claim();
    await world.store.goBack(firstHad);
    await first.renew(-1);
    await assertRejects(() => second.renew(-1), NodeHeldError, "node 1 was taken by another holder: there can");
    assertApart(first, second);
  });

  it("takes the node from a holder whose reservation is over: another may have had it meanwhile", async () => {
    for (const isGone of [true, false]) {
      const { world, holder, before, empty } = await setUp(20_000);
      world.pass(SETTLE_MS);
      const b = await world.machine("b").claim();
      await world.passRenewing(SETTLE_MS + 10_000, b);
      assert(b.mark > b.firstTick);
      await world.store.goBack(isGone ? empty : before);
      const message = isGone ? "the record of node 1 is gone" : "the record of node 1 is older than it was";
      const error = await assertRejects(() => holder.renew(-1), NodeHeldError, message);
      assert(!error.message.includes("taken by"), error.message);
      assertApart(holder, b);
    }
  });

  it("knows that its reservation is over although the monotonic clock stood still", async () => {
    const { world, holder, empty } = await setUp(0);
    world.time.ms += 60_000; // and the machine's clock has not been put right yet
    await world.store.goBack(empty);
    await assertRejects(() => holder.renew(-1), NodeHeldError, "this holder's reservation is over");
  });

  it("while a claim settles, gives the claimer nothing that an earlier holder has by then", async () => {
    const { world, holder } = await setUp(0);
    const held = await world.store.list();
    world.pass(6000);
    const b = await world.machine("b").claim();
    await world.passRenewing(4000, b);
    await world.store.goBack(held);
    await holder.renew(-1); // it was stopped for 10 s, and its reservation is not over
    assertApart(holder, b);
    await b.renew(-1).catch(() => {});
    await world.passRenewing(60_000, holder);
    assertApart(holder, b);
  });

  it("loses no node if many records go: all holders write theirs again", async () => {
    const world = new World();
    const empty = await world.store.list();
    const holders = await Promise.all([0, 1, 2, 3].map((nodeId) => world.machine(`${nodeId}`).claim({ nodeId })));
    await world.passRenewing(SETTLE_MS + 10_000, ...holders);
    await world.store.goBack(empty);
    await world.passRenewing(SHARED_RENEW_MS, ...holders);
    assertEquals([...(await world.store.list()).keys()].sort(), [0, 1, 2, 3]);
  });
});

describe("claimNode, in a store that machines share", () => {
  it("takes a few round trips, and fails at once with a clock that is off", async () => {
    const world = new World();
    const { store } = world;
    const claim = (machine: Machine) =>
      claimNode({
        ...machine.options(),
        nodeId: undefined,
        maxNodeId: 3,
        sleep: (ms) => Promise.resolve(world.pass(ms)),
      });
    await claim(world.machine("a"));
    assertEquals(store.requests, 5, "list, time, claim, time, and where it begins");
    await claim(world.machine("b"));
    store.requests = 0;
    const off = world.machine("off", 60_000);
    for (let i = 0; i < 100; i++) await assertRejects(() => claim(off), ClockSkewError);
    assertEquals((await store.list()).size, 2, "a loop of restarts uses up no node");
  });
});
