import { assert, assertEquals, assertRejects } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import {
  DEFAULT_LAYOUT,
  IdLayout,
  LayoutMismatchError,
  MemoryReservationStore,
  NodeHeldError,
  type ReservationStore,
  StoreError,
} from "../../mod.ts";
import { claimNode, type ClaimOptions } from "../../lib/reservation/claim.ts";
import type { ReservationHolder } from "../../lib/reservation/holder.ts";
import type { Reservation } from "../../lib/reservation/reservation.ts";
import { until } from "../../testing/within.ts";
import { isFull } from "../settings.ts";
import { HandClock } from "../id/hand_clock.ts";
import { holderNameOf, markOf, overwrite } from "./record_of.ts";
import { FlakyStore } from "./flaky_store.ts";
import { SharedFlakyStore } from "./shared_flaky_store.ts";

/** What claims of the nodes 0 to 3 are made from; `meanwhile` is what happens while a claim waits. */
function setUp(meanwhile: () => Promise<void> = () => Promise.resolve()) {
  const waits: number[] = [];
  const clock = new HandClock(DEFAULT_LAYOUT.epochMs + 1_000_000);
  const store = new MemoryReservationStore();
  const options = (name: string, nodeId?: number): ClaimOptions => ({
    ...{ store, nodeId, maxNodeId: 3, layout: DEFAULT_LAYOUT, clock, name },
    monotonicClock: { now: () => 0 },
    sleep: async (ms) => (waits.push(ms), await meanwhile()),
  });
  return { waits, clock, store, options };
}

/** Waits until a signal is aborted, however long that takes. */
function untilAborted(_ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
}

const WIDTHS = { timeBits: 37, sequenceBits: 17, nodeBits: 10, tickMs: 1000, epochMs: DEFAULT_LAYOUT.epochMs };

describe("claimNode", () => {
  it("gives every replica a node of its own, without waiting, and says when there is none left", async () => {
    const { waits, options, clock } = setUp(async () => {
      clock.ms += 5000;
      for (const holder of holders) await holder.renew(-1);
    });
    const holders = await Promise.all(["a", "b", "c", "d"].map((name) => claimNode(options(name))));
    assertEquals(new Set(holders.map(({ nodeId }) => nodeId)).size, 4);
    assertEquals(waits, []);
    const error = await assertRejects(() => claimNode(options("e")), NodeHeldError, "all 4 node ids are held");
    assert(error instanceof NodeHeldError);
    assertEquals(waits.length, 1);
  });

  it("does not take a node that another replica takes at the same moment", async () => {
    const { store, options } = setUp();
    let other: Promise<unknown> | undefined;
    const overtaken = {
      compareAndSet: store.compareAndSet.bind(store),
      async read(nodeId: number) {
        const found = await store.read(nodeId);
        await (other ??= claimNode(options("other", nodeId)));
        return found;
      },
    };
    await assertRejects(() => claimNode({ ...options("late", 2), store: overtaken }), NodeHeldError);
    assertEquals(await holderNameOf(store, 2), "other");
  });

  it("gives a node on that was given back, at once", async () => {
    const { waits, options } = setUp();
    const holders = await Promise.all(["a", "b", "c", "d"].map((name) => claimNode(options(name))));
    await holders[2].release();
    const next = await claimNode(options("e"));
    assertEquals([next.nodeId, next.firstTick], [holders[2].nodeId, holders[2].mark]);
    assertEquals(waits, []);
  });

  it("takes a node over whose holder shows no sign of life, after having watched it", async () => {
    const { waits, clock, options } = setUp(async () => {
      clock.ms += 5000;
      await alive.renew(-1);
    });
    const dead = await claimNode(options("dead", 1));
    const alive = await claimNode(options("alive", 2));
    assertEquals((await claimNode(options("next", 1))).firstTick, dead.mark);
    assertEquals(waits, [2000, 2000, 2000]);
    await assertRejects(
      () => claimNode(options("next", 2)),
      NodeHeldError,
      "node 2 is held by another generator or server",
    );
  });

  for (
    const [what, layout] of [["ticks of a minute", { ...WIDTHS, tickMs: 60_000 }], [
      "a mark far ahead",
      WIDTHS,
    ]] as const
  ) {
    it(`takes no node whose holder lives, with ${what}`, async () => {
      const world = setUp(() => holder.renew(-1));
      const options = { ...world.options("a", 1), layout: new IdLayout(layout) };
      if (what === "a mark far ahead") world.clock.ms += 3_600_000;
      const holder = await claimNode(options);
      if (what === "a mark far ahead") world.clock.ms -= 3_600_000;
      const { mark } = holder;
      await assertRejects(() => claimNode({ ...options, name: "b" }), NodeHeldError, "node 1 is held by another");
      assertEquals([holder.mark, await holderNameOf(world.store, 1)], [mark, "a"]);
    });
  }

  it("gives up when it is aborted, at once, and claims no node afterwards", async () => {
    const { store, options } = setUp();
    await claimNode(options("dead", 1));
    const before = await store.read(1);
    const controller = new AbortController();
    const reason = new Error("enough");
    const sleep = (ms: number) => untilAborted(ms, controller.signal);
    const claim = claimNode({ ...options("next", 1), sleep, signal: controller.signal });
    setTimeout(() => controller.abort(reason));
    assertEquals(await assertRejects(() => claim), reason);
    assertEquals(await store.read(1), before);
    const aborted = { ...options("late", 2), signal: controller.signal };
    assertEquals(await assertRejects(() => claimNode(aborted)), reason);
    assertEquals(await store.read(2), undefined);
  });

  it("gives back what it claims all the same, when it is aborted while the store is busy", async () => {
    const { options } = setUp();
    const store = new FlakyStore();
    const reply = store.holdNextReply();
    const controller = new AbortController();
    const claim = claimNode({ ...options("a", 1), store, signal: controller.signal });
    await until("the claim is on record", async () => await holderNameOf(store, 1) === "a");
    controller.abort();
    const error = await assertRejects(() => claim, DOMException);
    assertEquals(error.name, "AbortError");
    assertEquals(await holderNameOf(store, 1), "a"); // the store has not answered yet
    reply.resolve();
    await until("the node is given back", async () => await holderNameOf(store, 1) === "");
    assertEquals(await markOf(store, 1), 1001); // the clock is in tick 1000: no tick is lost
  });

  it("keeps a node that it has, when it is aborted afterwards", async () => {
    const { store, options } = setUp();
    const controller = new AbortController();
    const holder = await claimNode({ ...options("a", 1), signal: controller.signal });
    controller.abort();
    await Promise.resolve();
    assertEquals(await holderNameOf(store, 1), "a");
    await holder.release();
  });

  it("leaves a node to whoever is first", async () => {
    const { options } = setUp(async () => {
      for (const holder of holders) await holder.renew(-1);
    });
    const holders: ReservationHolder[] = [];
    const claim = async (name: string) => holders.push(await claimNode(options(name, 0)));
    const claims = await Promise.allSettled(["a", "b"].map(claim));
    assertEquals(claims.filter(({ status }) => status === "fulfilled").length, 1);
  });
});

/** As many nodes as there are by default, in a store that counts requests. */
class ManyNodes {
  readonly time = new HandClock(DEFAULT_LAYOUT.epochMs + 1_000_000_000);
  readonly monotonicClock = new HandClock(0);
  readonly store = new SharedFlakyStore(this.time);
  #claims = 0;

  /** Writes a record for each of these nodes. */
  async record(nodeIds: Iterable<number>, record: Partial<Reservation>): Promise<void> {
    for (const nodeId of nodeIds) {
      await overwrite(this.store, nodeId, { mark: 1, holder: `${nodeId}/1`, layout: DEFAULT_LAYOUT.key, ...record });
    }
    this.store.requests = 0;
  }

  options(change: Partial<ClaimOptions> = {}): ClaimOptions {
    return {
      ...{ store: this.store, nodeId: undefined, maxNodeId: DEFAULT_LAYOUT.maxNodeId, layout: DEFAULT_LAYOUT },
      ...{ clock: this.time, monotonicClock: this.monotonicClock, name: `claim ${++this.#claims}` },
      sleep: (ms) => Promise.resolve(this.pass(ms)),
      ...change,
    };
  }

  pass(ms: number): void {
    this.time.ms += ms;
    this.monotonicClock.ms += ms;
  }

  /** Claims as many nodes at once, each after some turns of the event loop; returns the requests of each. */
  async claimAtOnce(count: number): Promise<{ nodeIds: number[]; requests: number[] }> {
    const clients = Array.from({ length: count }, () => new CountingStore(this.store));
    const sleep = () => new Promise<void>((resolve) => setTimeout(resolve));
    const holders = await Promise.all(clients.map((store) => claimNode(this.options({ store, sleep }))));
    const requests = clients.map((client) => client.requests).sort((a, b) => a - b);
    return { nodeIds: holders.map(({ nodeId }) => nodeId), requests };
  }
}

/** A client of a store, whose replies come with a later turn of the event loop. */
class CountingStore implements ReservationStore {
  requests = 0;
  readonly #store: SharedFlakyStore;

  constructor(store: SharedFlakyStore) {
    this.#store = store;
  }

  now = () => this.#count(() => this.#store.now());
  list = () => this.#count(() => this.#store.list());
  read = (nodeId: number) => this.#count(() => this.#store.read(nodeId));
  compareAndSet = (...change: Parameters<ReservationStore["compareAndSet"]>) =>
    this.#count(() => this.#store.compareAndSet(...change));

  async #count<Result>(ask: () => Promise<Result>): Promise<Result> {
    this.requests++;
    await new Promise((resolve) => setTimeout(resolve));
    return await ask();
  }
}

const upTo = (count: number) => Array.from({ length: count }, (_, i) => i);
const medianOf = (sorted: number[]) => sorted[Math.floor(sorted.length / 2)];

describe("claimNode, of any node of 1,024", () => {
  it("takes five round trips, however many are held", async () => {
    for (const held of [0, 1000, 1023]) {
      const nodes = new ManyNodes();
      await nodes.record(upTo(held), {});
      const { nodeId } = await claimNode(nodes.options());
      assert(nodeId >= held, `${nodeId}`);
      assertEquals(nodes.store.requests, 5);
    }
  });

  it("reads one record after the other in a store that cannot list them, from a random one on", async () => {
    const nodes = new ManyNodes();
    await nodes.record([...upTo(500), ...upTo(500).map((i) => 510 + i)], {});
    const { store } = nodes;
    const plain: ReservationStore = {
      read: (nodeId) => store.read(nodeId),
      compareAndSet: (...change) => store.compareAndSet(...change),
    };
    const { nodeId } = await claimNode(nodes.options({ store: plain }));
    assert(nodeId >= 500 && nodeId < 510 || nodeId >= 1010, `${nodeId}`);
    await nodes.record(upTo(1024), {});
    await claimNode(nodes.options({ store: plain }));
  });

  it("gives all who claim at once nodes of their own, in few round trips", async () => {
    for (const [count, free] of [[50, 1024], [50, 50], ...(isFull ? [[1024, 1024]] : [])]) {
      const nodes = new ManyNodes();
      await nodes.record(upTo(1024 - free), {});
      const { nodeIds, requests } = await nodes.claimAtOnce(count);
      assertEquals(new Set(nodeIds).size, count);
      assert(medianOf(requests) <= 10, `${count} of ${free}: ${requests}`);
    }
  });

  it("does the same if all nodes are held by the dead", async () => {
    for (const count of isFull ? [50, 1024] : [50]) {
      const nodes = new ManyNodes();
      await nodes.record(upTo(1024), {});
      const { nodeIds, requests } = await nodes.claimAtOnce(count);
      assertEquals(new Set(nodeIds).size, count);
      assert(medianOf(requests) <= 10, `${count}: ${requests}`);
    }
  });

  it("takes rather a node that was given back long ago", async () => {
    const nodes = new ManyNodes();
    for (const nodeId of upTo(1024)) await nodes.record([nodeId], { mark: 5000 - nodeId, holder: "/1" });

    for (let i = 0; i < 20; i++) {
      const { nodeId } = await claimNode(nodes.options());
      assert(nodeId > 400, `${nodeId} was given back only just now`);
    }
  });

  it("leaves nodes alone that are on record with another layout, or cannot be read, and takes another", async () => {
    const nodes = new ManyNodes();
    await nodes.record(upTo(600), { holder: "/1", layout: "v1 time=1" });
    const unreadable = upTo(400).map((i): [number, string] => [600 + i, "of a later release"]);
    await nodes.store.goBack(new Map([...await nodes.store.list(), ...unreadable]));
    for (let i = 0; i < 24; i++) assert((await claimNode(nodes.options())).nodeId >= 1000);
    await assertRejects(() => claimNode(nodes.options({ nodeId: 5 })), LayoutMismatchError);
    await assertRejects(
      () => claimNode(nodes.options({ nodeId: 605 })),
      StoreError,
      "read(605): a record must be JSON",
    );
  });

  it("takes a node that becomes free while it watches", async () => {
    const nodes = new ManyNodes();
    await nodes.record(upTo(1024), {});
    let beat = 5;
    const sleep = async () => {
      await nodes.record(upTo(1024), { beat: ++beat }); // all are alive
      await nodes.record([77], { holder: "/1" });
    };
    assertEquals((await claimNode(nodes.options({ sleep }))).nodeId, 77);
  });
});

describe("claimNode, of a node that is held", () => {
  it("says who holds it, where, and since when", async () => {
    const nodes = new ManyNodes();
    const info = { host: "db-1", address: "10.0.0.7:4000", since: "2030-01-01T00:00:00.000Z" };
    const sleep = () => nodes.record([7], { info });
    await sleep();
    await assertRejects(
      () => claimNode(nodes.options({ nodeId: 7, sleep })),
      NodeHeldError,
      "node 7 is held by another generator or server (db-1, at 10.0.0.7:4000, since 2030-01-01T00:00:00.000Z), which " +
        "is running: choose another node id",
    );
  });

  it("takes the node from none who lives, after the store was away for all: it watches anew", async () => {
    for (const outage of ["fails", "is slow"]) {
      const nodes = new ManyNodes();
      const { store } = nodes;
      await nodes.record([7], {});
      let looks = 0;
      const sleep = (ms: number) => {
        nodes.pass(ms);
        looks++;
        store.isOut = outage === "fails" && looks === 2;
        return looks === 6 ? nodes.record([7], { mark: 5 }) : Promise.resolve(); // it has renewed, and dies only now
      };
      const slow: ReservationStore = {
        now: () => store.now(),
        read: async (nodeId) => {
          const found = await store.read(nodeId);
          if (outage === "is slow" && looks === 2) nodes.pass(2500);
          return found;
        },
        compareAndSet: (...change) => store.compareAndSet(...change),
      };
      const { nodeId } = await claimNode(nodes.options({ nodeId: 7, sleep, store: slow })).catch(() => ({
        nodeId: -1,
      }));
      assertEquals([nodeId, looks], [-1, 6], "it looked three times after the outage, and then saw the node alive");
    }
  });

  it("fails as the store does, if that goes on failing: after five looks, each after a longer wait", async () => {
    const nodes = new ManyNodes();
    await nodes.record([7], {});
    const waits: number[] = [];
    const sleep = (ms: number) => {
      nodes.store.isOut = true;
      return Promise.resolve(void waits.push(ms));
    };
    await assertRejects(() => claimNode(nodes.options({ nodeId: 7, sleep })), Error, "out of reach");
    assertEquals(waits, [2000, 4000, 8000, 16_000, 32_000]);
  });

  it("goes on looking while the store is slow, and fails after ten looks, with what to do", async () => {
    const nodes = new ManyNodes();
    await nodes.record([7], {});
    const waits: number[] = [];
    const sleep = (ms: number) => Promise.resolve(void waits.push(ms));
    const read = async (nodeId: number) => {
      const found = await nodes.store.read(nodeId);
      nodes.pass(2000);
      return found;
    };
    const store: ReservationStore = { read, compareAndSet: () => Promise.reject("it takes a node") };
    const claim = () => claimNode(nodes.options({ nodeId: 7, sleep, store }));
    await assertRejects(claim, StoreError, "takes more than 2000 ms to answer, 10 times in a row: see whether it has");
    assertEquals(waits.length, 10);
    for (const [i, ms] of waits.entries()) {
      const longestMs = Math.min(2000 * 2 ** i, 32_000);
      assert(ms >= Math.max(2000, longestMs / 2) && ms <= longestMs, `${waits}`);
    }
  });

  it("takes the node once a slow store is quick again, for three looks after the first one of these", async () => {
    const nodes = new ManyNodes();
    await nodes.record([7], {});
    let looks = 0;
    const sleep = () => Promise.resolve(void looks++);
    const read = async (nodeId: number) => {
      const found = await nodes.store.read(nodeId);
      if (looks >= 1 && looks <= 8) nodes.pass(2000);
      return found;
    };
    const store: ReservationStore = {
      ...{ read, now: () => nodes.store.now() },
      compareAndSet: (...change) => nodes.store.compareAndSet(...change),
    };
    await claimNode(nodes.options({ nodeId: 7, sleep, store }));
    assertEquals(looks, 12);
  });
});

describe("claimNode, of any node of 1,024 whose holders are gone", () => {
  /** A store that notes which calls were made, and fails as often as it is told. */
  async function setUpDead() {
    const nodes = new ManyNodes();
    await nodes.record(upTo(1024), {});
    const calls: string[] = [];
    const fails = { list: 0, read: 0 };
    const call = <Result>(name: "list" | "read", answer: () => Promise<Result>) => {
      calls.push(name);
      return fails[name]-- > 0 ? Promise.reject(new Error(`no ${name}`)) : answer();
    };
    const store: ReservationStore = {
      now: () => nodes.store.now(),
      list: () => call("list", () => nodes.store.list()),
      read: (nodeId) => call("read", () => nodes.store.read(nodeId)),
      compareAndSet: (...change) => nodes.store.compareAndSet(...change),
    };
    return { nodes, calls, fails, store };
  }

  it("lists all once, and then looks at one", async () => {
    const { nodes, calls, store } = await setUpDead();
    await claimNode(nodes.options({ store }));
    assertEquals(calls, ["list", "read", "read", "read"]);
  });

  it("lists all again if others have changed, and takes one that has not", async () => {
    const { nodes, calls, store } = await setUpDead();
    let beat = 5;
    const sleep = () => nodes.record(upTo(1024).filter((nodeId) => nodeId !== 77), { beat: ++beat });
    const { nodeId } = await claimNode(nodes.options({ store, sleep }));
    assertEquals(nodeId, 77);
    assert(calls.filter((name) => name === "list").length <= 2, `${calls}`);
  });

  it("lists again, after a pause, if that fails while the store answers", async () => {
    const { nodes, calls, fails, store } = await setUpDead();
    fails.list = 4;
    await claimNode(nodes.options({ store }));
    assertEquals(calls.filter((name) => name === "list").length, 5);
  });

  it("fails at once if the store does not answer at all, and after five lists if it never lists", async () => {
    for (const [lists, reads] of [[1, Infinity], [5, 0]]) {
      const { nodes, calls, fails, store } = await setUpDead();
      Object.assign(fails, { list: Infinity, read: reads });
      await assertRejects(() => claimNode(nodes.options({ store })), Error, "no list");
      assertEquals(calls.filter((name) => name === "list").length, lists);
    }
  });
});
