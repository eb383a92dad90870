/** Very many claims at once, of a store that is busy with them for seconds; in virtual time. */
import { assert, assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { claimNode } from "../../lib/reservation/claim.ts";
import type { ReservationHolder } from "../../lib/reservation/holder.ts";
import { IdLayout, type ReservationStore } from "../../mod.ts";
import { isFull } from "../settings.ts";
import { World } from "../simulation/world.ts";
import { foundRecord } from "./record_of.ts";

/** How many nodes there are. Fewer, with a store that is slower by as much, take less of this computer's time. */
const NODES = isFull ? 1024 : 256;
const LAYOUT = new IdLayout({ timeBits: 37, sequenceBits: 17, nodeBits: Math.log2(NODES), tickMs: 1000, epochMs: 0 });

/** How long a store is busy with a call, in ms: as three members of etcd are that share two CPUs. */
const SLOWNESS = 1024 / NODES;
const LIST_MS = 6 * SLOWNESS;
const READ_MS = 0.4 * SLOWNESS;
const CHANGE_MS = 0.9 * SLOWNESS;

/** How long claims may take, in ms. */
const LIMIT_MS = 120_000;

/** When the virtual time begins, in ms since the Unix epoch. */
const START_MS = 1_000_000_000;

/** A store that deals with one call after the other. */
class BusyStore {
  readonly records = new Map<number, string>();
  readonly #world: World;
  #busyUntilMs = 0;

  constructor(world: World) {
    this.#world = world;
  }

  /** The store for one machine, whose calls are counted. */
  asSeenBy(machine: { calls: number }): ReservationStore {
    const call = <Result>(costMs: number, perform: () => Result): Promise<Result> => {
      machine.calls++;
      this.#busyUntilMs = Math.max(this.#busyUntilMs, this.#world.nowMs) + costMs;
      return new Promise((resolve) =>
        this.#world.after(this.#busyUntilMs - this.#world.nowMs, () => resolve(perform()))
      );
    };
    return {
      now: () => call(READ_MS, () => START_MS + this.#world.nowMs),
      read: (nodeId) => call(READ_MS, () => this.records.get(nodeId)),
      list: () => call(LIST_MS, () => new Map(this.records)),
      compareAndSet: (nodeId, expected, next) =>
        call(CHANGE_MS, () => {
          const isAsExpected = this.records.get(nodeId) === expected;
          if (isAsExpected) this.records.set(nodeId, next);
          return isAsExpected;
        }),
    };
  }
}

/** Machines that claim, and then renew. */
class Machines {
  readonly #world = new World(0);
  readonly #store = new BusyStore(this.#world);
  readonly #claimed: { readonly nodeId: number; readonly calls: number }[] = [];
  readonly #failures: unknown[] = [];

  /** Puts holders on record that are gone. */
  bury(nodeIds: Iterable<number>): void {
    for (const nodeId of nodeIds) {
      const { text } = foundRecord({ mark: 1, holder: `${nodeId}/1`, layout: LAYOUT.key });
      this.#store.records.set(nodeId, text);
    }
  }

  /**
   * Has so many claim at the same moment, until each has a node of its own, after so many calls in the median at most;
   * nobody loses one.
   */
  async claimAtOnce(count: number, maxCalls = 10): Promise<void> {
    const endMs = this.#world.nowMs + LIMIT_MS;
    const wanted = this.#claimed.length + count;
    for (let i = this.#claimed.length; i < wanted; i++) this.#live(`machine ${i}`).catch(this.#onFailure);
    while (this.#claimed.length < wanted && this.#failures.length === 0 && this.#world.nowMs < endMs) {
      await this.#world.pass(1);
    }
    assertEquals(this.#failures, []);
    assertEquals(this.nodeIds.size, wanted);
    const calls = this.#claimed.slice(-count).map(({ calls }) => calls).sort((a, b) => a - b);
    assert(calls[count >> 1] <= maxCalls, `calls: ${calls}`);
  }

  /** The nodes that they have. */
  get nodeIds(): Set<number> {
    return new Set(this.#claimed.map(({ nodeId }) => nodeId));
  }

  readonly #onFailure = (error: unknown) => void this.#failures.push(error);

  async #live(name: string): Promise<void> {
    const machine = { calls: 0 };
    const holder: ReservationHolder = await claimNode({
      ...{ store: this.#store.asSeenBy(machine), nodeId: undefined, maxNodeId: LAYOUT.maxNodeId },
      ...{ layout: LAYOUT, name, clock: { now: () => START_MS + this.#world.nowMs } },
      ...{ monotonicClock: { now: () => this.#world.nowMs }, sleep: (ms) => this.#sleep(ms) },
    });
    this.#claimed.push({ nodeId: holder.nodeId, calls: machine.calls });
    while (true) {
      await this.#sleep(holder.renewAfterMs);
      await holder.renew(-1);
    }
  }

  #sleep(ms: number): Promise<void> {
    return new Promise((resolve) => this.#world.after(ms, resolve));
  }
}

const upTo = (count: number) => Array.from({ length: count }, (_, i) => i);

describe("very many claims at once, of a store that is busy with them for seconds", () => {
  it("get a node each, if all are free", async () => {
    await new Machines().claimAtOnce(NODES);
  });

  it("get a node each, if all holders are gone", async () => {
    const machines = new Machines();
    machines.bury(upTo(NODES));
    await machines.claimAtOnce(NODES);
  });

  it("take none from a holder that lives, and is as slow to renew then", async () => {
    const machines = new Machines();
    await machines.claimAtOnce(NODES / 2);
    machines.bury(upTo(NODES).filter((nodeId) => !machines.nodeIds.has(nodeId)));
    await machines.claimAtOnce(NODES / 2, 12); // half of the nodes that are looked at first have a holder that lives
  });
});
