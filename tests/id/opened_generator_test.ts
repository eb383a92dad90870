import { assert, assertEquals, assertNotEquals, assertRejects, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import {
  ClosedError,
  IdGenerator,
  IdGrant,
  IdLayout,
  IdStatus,
  MemoryReservationStore,
  NodeHeldError,
  NotReservedError,
  OutOfIdsError,
  StoreWentBackError,
} from "../../mod.ts";
import { FlakyStore } from "../reservation/flaky_store.ts";
import { SharedFlakyStore } from "../reservation/shared_flaky_store.ts";
import { holderNameOf, markOf, namedRecordOf, overwrite } from "../reservation/record_of.ts";
import { until } from "../../testing/within.ts";
import { HandClock } from "./hand_clock.ts";

const EPOCH_MS = 1_000_000;
const TICK_MS = 100;
/** 64 ticks of 100 ms, 4 sequence numbers, 4 nodes. */
const LAYOUT = new IdLayout({ timeBits: 6, sequenceBits: 2, nodeBits: 2, tickMs: TICK_MS, epochMs: EPOCH_MS });

describe("IdGenerator.close", () => {
  it("gives back with its node what it has not used: the next one has ids with the next tick", async () => {
    const store = new MemoryReservationStore();
    const clock = new HandClock(EPOCH_MS + 10 * TICK_MS);
    const open = () => IdGenerator.open({ store, layout: LAYOUT, clock, nodeId: 1 });
    const first = await open();
    clock.ms += TICK_MS;
    assertEquals(LAYOUT.unpack(first.nextId()), { tick: 11, sequence: 0, nodeId: 1 });
    await first.close();
    assertEquals(await namedRecordOf(store, 1), { mark: 12, holder: "", layout: LAYOUT.key });
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
    assertThrows(() => ids.nextId(), ClosedError);
    clock.ms += TICK_MS;
    assertThrows(() => ids.nextId(), ClosedError);
    await closing;
    assertEquals(await markOf(store, 1), 12);
  });

  it("gives no ids once it is closed", async () => {
    const clock = new HandClock(EPOCH_MS + 10 * TICK_MS);
    const ids = await IdGenerator.open({ store: new MemoryReservationStore(), layout: LAYOUT, clock });
    clock.ms += TICK_MS;
    ids.nextId();
    await Promise.all([ids.close(), ids.close()]);
    const calls: (() => unknown)[] = [
      () => ids.nextId(),
      () => ids.nextRange(2),
      () => ids.fill(new BigUint64Array(2)),
      () => ids.tryRange(1, new IdGrant()),
    ];
    for (const call of calls) assertThrows(call, ClosedError, "the generator is closed");
    assertEquals(ids.lastTick, 11);
  });

  it("ends a generator without a store, too", async () => {
    const clock = new HandClock(EPOCH_MS + 10 * TICK_MS);
    const ids = new IdGenerator({ nodeId: 1, layout: LAYOUT, clock });
    clock.ms += TICK_MS;
    ids.nextId();
    await ids.close();
    assertThrows(() => ids.nextId(), ClosedError);
    clock.ms -= 9 * TICK_MS;
    assertThrows(() => ids.nextId(), ClosedError);
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
        assert(!seen.has(id));
        seen.add(id);
      }
      clock.ms -= round * TICK_MS;
    }
    assert(seen.size > 12 && held.size >= 1);
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
    assertThrows(() => ids.fill(new BigUint64Array(2)), NotReservedError);
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
    await overwrite(store, 1, { holder: "another", mark: 50 });
    clock.ms += 40 * TICK_MS;
    await until("it has noticed", () => errors.length > 0);
    assert(errors[0] instanceof NodeHeldError);
    assertThrows(() => ids.nextId(), NotReservedError, "node 1 was taken by another holder");
  });

  it("gives up waiting for a node when it is aborted, and leaves the node as it was", async () => {
    const store = new MemoryReservationStore();
    const clock = new HandClock(EPOCH_MS + 10 * TICK_MS);
    const options = { store, layout: LAYOUT, clock, nodeId: 1 };
    await using first = await IdGenerator.open(options);
    const error = await assertRejects(
      () => IdGenerator.open({ ...options, signal: AbortSignal.timeout(20) }),
      DOMException,
    );
    assertEquals(error.name, "TimeoutError");
    clock.ms += TICK_MS;
    first.nextId();
    const aborted = AbortSignal.abort();
    await assertRejects(() => IdGenerator.open({ ...options, nodeId: 2, signal: aborted }), DOMException);
    assertEquals(await store.read(2), undefined);
  });

  it("holds no node if its other options are wrong", async () => {
    const store = new MemoryReservationStore();
    const wrong = { store, nodeId: 1, clockPolicy: "ignore" as unknown as "refuse" };
    await assertRejects(() => IdGenerator.open(wrong), TypeError, 'clockPolicy must be "refuse" or "logical"');
    assertEquals(await holderNameOf(store, 1) ?? "", "");
  });

  it("fails as its store does", async () => {
    const store = new FlakyStore();
    store.isOut = true;
    await assertRejects(() => IdGenerator.open({ store }), Error, "out of reach");
  });
});

describe("IdGenerator.open, with a store that machines share", () => {
  const layout = new IdLayout({ timeBits: 20, sequenceBits: 2, nodeBits: 2, tickMs: TICK_MS, epochMs: EPOCH_MS });
  function setUp() {
    const clock = new HandClock(EPOCH_MS + 10 * TICK_MS);
    return { clock, store: new SharedFlakyStore(clock), layout, monotonicClock: clock, nodeId: 1 };
  }

  it("has the first id after 14 s, or with the next tick if the store is trusted", async () => {
    for (const trustStore of [false, true]) {
      const options = setUp();
      const begunMs = options.clock.ms;
      await using ids = await IdGenerator.open({ ...options, trustStore });
      const grant = new IdGrant();
      await until("there is an id", () => {
        options.clock.ms += TICK_MS;
        return ids.tryRange(1, grant) === IdStatus.OK;
      });
      const waitedMs = options.clock.ms - begunMs;
      assert(trustStore ? waitedMs <= 2 * TICK_MS : waitedMs >= 14_000, `${waitedMs}`);
    }
  });

  it("tells when the store has gone back, and goes on", async () => {
    const options = setUp();
    const empty = await options.store.list();
    const errors: unknown[] = [];
    await using ids = await IdGenerator.open({ ...options, onError: (error) => errors.push(error) });
    await options.store.goBack(empty);
    await until("it has written its record again", async () => await markOf(options.store, ids.nodeId) !== undefined);
    assertEquals(errors.map((error) => error instanceof StoreWentBackError), [true]);
  });
});
