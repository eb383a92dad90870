import { assert, assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import * as fc from "fast-check";
import { NO_CPU, Placement } from "../../lib/placement/placement.ts";
import type { Traffic } from "../../lib/udp/reuseport.ts";

const NONE: Traffic = { messages: 0, receives: 0 };
const MANY: Traffic = { messages: 50_000, receives: 2000 };
const ONE_BY_ONE: Traffic = { messages: 50_000, receives: 49_000 };

/** A server whose home CPUs are 4, 5, …, and the decisions about it, one every half a second. */
class Decisions {
  readonly placement: Placement;
  #nowMs = 0;

  readonly workers: number;

  constructor(workers: number) {
    this.workers = workers;
    this.placement = new Placement(Array.from({ length: workers }, (_, i) => 4 + i));
  }

  /** Decides until a move has settled. */
  settle(busy: number[], traffic: Traffic[]): number[] {
    for (let i = 0; i < 4; i++) this.once(busy, traffic);
    return this.placement.incomingCpus;
  }

  once(busy: number[], traffic: Traffic[]): number[] {
    this.placement.update(busy, traffic, this.#nowMs += 500);
    return this.placement.incomingCpus;
  }

  rest(ms: number): void {
    this.#nowMs += ms;
  }
}

describe("Placement", () => {
  it("leaves every worker at its home CPU while no CPU is saturated, or none is underloaded", () => {
    const decisions = new Decisions(3);
    assertEquals(decisions.placement.incomingCpus, [4, 5, 6]);
    assertEquals(decisions.settle([0.8, 0.1, 0], [MANY, NONE, NONE]), [4, 5, 6]);
    assertEquals(decisions.settle([1, 1, 1], [MANY, MANY, MANY]), [4, 5, 6]);
    assertEquals(decisions.settle([1, 0.6, 0.7], [MANY, NONE, NONE]), [4, 5, 6]);
    assert(!decisions.placement.hasMoves);
  });

  it("moves the datagrams of a saturated CPU to the worker on the idlest one", () => {
    const decisions = new Decisions(3);
    assertEquals(decisions.once([1, 0.3, 0.2], [MANY, NONE, NONE]), [6, 5, 4]);
    assertEquals(decisions.settle([0.9, 0.1, 0.8], [NONE, NONE, MANY]), [6, 5, 4]);
    assert(decisions.placement.hasMoves);
  });

  it("moves no datagrams that come one by one, nor those of a CPU that other processes saturate", () => {
    assertEquals(new Decisions(2).settle([1, 0], [ONE_BY_ONE, NONE]), [4, 5]);
    assertEquals(new Decisions(2).settle([1, 0], [NONE, MANY]), [4, 5]);
  });

  it("moves the datagrams of several CPUs, one after the other", () => {
    const decisions = new Decisions(4);
    const busy = [1, 1, 0.1, 0.2];
    assertEquals(decisions.once(busy, [MANY, MANY, NONE, NONE]), [6, 5, 4, 7]);
    assertEquals(decisions.once(busy, [NONE, MANY, MANY, NONE]), [6, 7, 4, 5]);
  });

  it("deals datagrams to all workers when one is not enough, as long as a CPU is underloaded", () => {
    const decisions = new Decisions(3);
    decisions.settle([1, 0, 0], [MANY, NONE, NONE]);
    assertEquals(decisions.once([1, 0.95, 0.2], [NONE, MANY, NONE]), [NO_CPU, 5, 6]);
    assertEquals(decisions.settle([0.7, 0.6, 0.7], [MANY, MANY, MANY]), [NO_CPU, 5, 6]);
    const pair = new Decisions(2);
    pair.settle([1, 0], [MANY, NONE]);
    assertEquals(pair.settle([1, 1], [NONE, MANY]), [5, 4]);
  });

  it("undoes a move when one CPU can do the work of both, and moves again at once", () => {
    const decisions = new Decisions(3);
    decisions.settle([1, 0, 0], [MANY, NONE, NONE]);
    assertEquals(decisions.once([0.4, 0.3, 0.9], [NONE, MANY, NONE]), [4, 5, 6]);
    assertEquals(decisions.once([1, 0, 0], [MANY, NONE, NONE]), [5, 4, 6]);
    decisions.once([1, 1, 0], [NONE, MANY, NONE]);
    assertEquals(decisions.once([0.3, 0.2, 0.2], [MANY, MANY, MANY]), [4, 5, 6]);
  });

  for (
    const [what, traffic] of [
      ["datagrams come one by one", [NONE, ONE_BY_ONE]],
      ["the other CPU gets datagrams of its own", [MANY, MANY]],
    ] as const
  ) {
    it(`undoes a move when ${what}, but not before it has settled, and then pauses`, () => {
      const decisions = new Decisions(2);
      decisions.once([1, 0], [MANY, NONE]);
      assertEquals(decisions.once([1, 1], [...traffic]), [5, 4]);
      assertEquals(decisions.settle([1, 1], [...traffic]), [4, 5]);
      assertEquals(decisions.settle([1, 0], [MANY, NONE]), [4, 5]);
      decisions.rest(10_000);
      assertEquals(decisions.once([1, 0], [MANY, NONE]), [5, 4]);
    });
  }

  it("keeps a move when the workers did not report once", () => {
    const decisions = new Decisions(2);
    decisions.settle([1, 0], [MANY, NONE]);
    assertEquals(decisions.once([1, 1], [NONE, NONE]), [5, 4]);
    assertEquals(decisions.settle([1, 1], [NONE, MANY]), [5, 4]);
  });

  it("undoes all moves after a silence, whatever else the CPUs do", () => {
    for (const workers of [2, 3]) {
      const decisions = new Decisions(workers);
      const home = decisions.placement.incomingCpus;
      const none = home.map(() => NONE);
      decisions.settle([1, 0, 0].slice(0, workers), [MANY, NONE, NONE].slice(0, workers));
      decisions.once([1, 1, 0].slice(0, workers), [NONE, MANY, NONE].slice(0, workers));
      assertEquals(decisions.settle(home.map(() => 1), none), home);
    }
  });

  it("does not deal to all workers when only the CPU that the datagrams arrive on is underloaded", () => {
    const decisions = new Decisions(2);
    decisions.settle([1, 0], [MANY, NONE]);
    assertEquals(decisions.once([0.3, 1], [NONE, MANY]), [5, 4]);
  });

  it("undoes dealing to all workers when datagrams come one by one", () => {
    const decisions = new Decisions(3);
    decisions.settle([1, 0, 0], [MANY, NONE, NONE]);
    assertEquals(decisions.once([1, 1, 0.2], [NONE, MANY, NONE]), [NO_CPU, 5, 6]);
    assertEquals(decisions.settle([1, 1, 1], [ONE_BY_ONE, ONE_BY_ONE, ONE_BY_ONE]), [4, 5, 6]);
  });

  it("never gives two workers the datagrams of the same CPU", () => {
    const share = fc.oneof(fc.constantFrom(0, 0.2, 0.5, 0.9, 1), fc.double({ min: 0, max: 1, noNaN: true }));
    const second = fc.record({
      busy: fc.array(share, { minLength: 4, maxLength: 4 }),
      traffic: fc.array(fc.constantFrom(NONE, MANY, ONE_BY_ONE), { minLength: 4, maxLength: 4 }),
    });
    fc.assert(fc.property(fc.array(second, { maxLength: 40 }), (seconds) => {
      const decisions = new Decisions(4);
      for (const { busy, traffic } of seconds) {
        const taken = decisions.once(busy, traffic).filter((cpu) => cpu !== NO_CPU);
        assertEquals(new Set(taken).size, taken.length);
        assert(taken.every((cpu) => cpu >= 4 && cpu < 8));
      }
      decisions.settle([0, 0, 0, 0], [NONE, NONE, NONE, NONE]);
      assertEquals(decisions.placement.incomingCpus, [4, 5, 6, 7]);
    }));
  });
});
