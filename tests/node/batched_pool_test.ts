import { assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { BatchedPool } from "../../lib/node/batched_pool.ts";
import { SequenceLease } from "../../lib/id/sequence_pool.ts";
import { IdSequencer } from "../../lib/id/id_sequencer.ts";
import { IdGrant, IdLayout, IdStatus } from "../../mod.ts";
import { HandClock } from "../id/hand_clock.ts";
import { MemorySequencePool } from "../id/memory_sequence_pool.ts";
import { takeRange } from "../id/take_range.ts";

/** 256 ids a tick. */
const LAYOUT = new IdLayout({ timeBits: 30, sequenceBits: 8, nodeBits: 0, tickMs: 1000, epochMs: 0 });

/** Notes what is taken from it. */
class NotingPool extends MemorySequencePool {
  taken: number[] = [];

  override acquire(tick: number, count: number, lease: SequenceLease): void {
    this.taken.push(count);
    super.acquire(tick, count, lease);
  }
}

/** A worker, and a pool that others lease from as well. */
function setUp() {
  const pool = new NotingPool(LAYOUT, 5, 9);
  const batched = new BatchedPool(pool);
  const clock = new HandClock(5000);
  const ids = new IdSequencer({ nodeId: 0, layout: LAYOUT, clock, sequencePool: batched });
  const grant = new IdGrant();
  return {
    pool,
    batched,
    ids,
    clock,
    /** Answers requests for so many ids each, and gives back what is left. */
    answer(datagrams: number, ...counts: number[]): number[] {
      batched.begin(datagrams);
      const firsts = counts.map((count) => {
        assertEquals([ids.tryRange(count, grant), grant.count], [IdStatus.OK, count]);
        return grant.firstLow % 256;
      });
      ids.releaseLease();
      return firsts;
    },
    /** What was taken since it was asked for the last time, each time. */
    taken: () => pool.taken.splice(0),
    leaseBeside(count: number): number {
      const lease = new SequenceLease();
      pool.acquire(5, count, lease);
      pool.taken.pop();
      return lease.first;
    },
  };
}

const singles = (count: number) => Array(count).fill(1);

describe("BatchedPool", () => {
  it("leases the ids of a batch at once, if the batch before used as many", () => {
    const { answer, taken } = setUp();
    assertEquals(answer(8, ...singles(8)), [0, 1, 2, 3, 4, 5, 6, 7]);
    assertEquals(taken(), [1, 1, 2, 4], "of the first one, it knows only what was asked for so far");
    assertEquals(answer(8, ...singles(8)), [8, 9, 10, 11, 12, 13, 14, 15]);
    assertEquals(taken(), [8]);
    assertEquals(answer(20, ...singles(20)).at(-1), 35);
    assertEquals(taken(), [8, 8, 4]);
  });

  it("leases no more ids than the batch has datagrams, nor than the batch before used", () => {
    const { answer, taken } = setUp();
    answer(8, ...singles(8));
    answer(8, ...singles(8));
    taken();
    answer(3, 1, 1, 1);
    answer(8, 1);
    assertEquals(taken(), [3, 3]);
    answer(8, 1);
    assertEquals(taken(), [1], "the one before used one, and gave the other two back");
  });

  it("leases one id at a time before its first batch", () => {
    const { ids, taken } = setUp();
    for (let i = 0; i < 4; i++) takeRange(ids, 1).first;
    assertEquals(taken(), [1, 1, 1, 1]);
  });

  it("leases a range that is larger than the batch as asked for", () => {
    const { answer, taken } = setUp();
    assertEquals(answer(2, 100, 50), [0, 100]);
    assertEquals(taken(), [100, 50]);
    assertEquals(answer(2, 1, 60), [150, 151]);
    assertEquals(taken(), [2, 60]);
  });

  it("skips no ids as long as no other process leases", () => {
    const { answer } = setUp();
    answer(8, ...singles(8));
    assertEquals([answer(8, 1), answer(8, 1, 1), answer(5)], [[8], [9, 10], []]);
    assertEquals(answer(8, 1), [11]);
  });

  it("loses the rest of a lease if another process leases meanwhile", () => {
    const { batched, ids, answer, leaseBeside } = setUp();
    answer(4, ...singles(4));
    batched.begin(4);
    assertEquals(LAYOUT.unpack(takeRange(ids, 1).first).sequence, 4);
    assertEquals(leaseBeside(1), 8);
    ids.releaseLease();
    assertEquals(answer(4, 1), [9]);
  });

  it("keeps nothing from one batch to the next when the tick changes", () => {
    const { batched, ids, clock, pool, answer } = setUp();
    answer(4, ...singles(4));
    batched.begin(4);
    takeRange(ids, 1).first;
    clock.ms += 1000;
    assertEquals(LAYOUT.unpack(takeRange(ids, 1).first), { tick: 6, sequence: 0, nodeId: 0 });
    ids.releaseLease();
    assertEquals(answer(2, 1, 1), [1, 2]);
    assertEquals(batched.mark, 9);
    pool.mark = 0;
    assertEquals([batched.mark, ids.tryRange(1, new IdGrant())], [0, IdStatus.NOT_RESERVED]);
  });
});
