import { claimNode } from "../../lib/reservation/claim.ts";
import { ReservationKeeper } from "../../lib/reservation/keeper.ts";
import type { IdLayout, ReservationStore } from "../../mod.ts";

/** A store that machines share, with all that such a store can have. */
type Store = ReservationStore & Required<Pick<ReservationStore, "list" | "now">>;

/** How many machines claim, and which nodes. */
export interface Claims {
  readonly count: number;
  /**
   * How many of them claim at a time, at most: this process does the work of all of them. If all do, they renew until
   * each has a node. (If not, there must be a free node for each: nobody looks then whether holders are gone.)
   */
  readonly atOnce: number;
  readonly layout: IdLayout;
}

/** What came of them. */
export interface Claimed {
  /** The nodes. */
  readonly nodeIds: readonly number[];
  /** How many calls a machine made, in the median and at most. */
  readonly median: number;
  readonly most: number;
  /** The time until all had a node, in s. */
  readonly seconds: number;
}

/** A store that counts the calls of one machine. */
class CountingStore implements ReservationStore {
  readonly #store: Store;
  calls = 0;

  constructor(store: Store) {
    this.#store = store;
  }

  read(nodeId: number): Promise<string | undefined> {
    this.calls++;
    return this.#store.read(nodeId);
  }

  compareAndSet(nodeId: number, expected: string | undefined, next: string): Promise<boolean> {
    this.calls++;
    return this.#store.compareAndSet(nodeId, expected, next);
  }

  list(): Promise<ReadonlyMap<number, string>> {
    this.calls++;
    return this.#store.list();
  }

  now(): Promise<number> {
    this.calls++;
    return this.#store.now();
  }
}

/** Claims any node for each of many machines, all of which then fall silent. */
export async function claimAll(stores: readonly Store[], { count, atOnce, layout }: Claims): Promise<Claimed> {
  const beganMs = performance.now();
  let started = 0;
  const claimed: { nodeId: number; calls: number }[] = [];
  const keepers: ReservationKeeper[] = [];
  const claim = async (i: number) => {
    const store = new CountingStore(stores[i % stores.length]);
    const holder = await claimNode({
      ...{ store, nodeId: undefined, maxNodeId: layout.maxNodeId, layout, name: `machine-${i}` },
      ...{ clock: Date, monotonicClock: performance },
      sleep: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
    });
    claimed.push({ nodeId: holder.nodeId, calls: store.calls });
    if (atOnce < count) return;
    keepers.push(new ReservationKeeper(holder, { usedTick: () => -1, onMark: () => {}, onError: () => {} }));
  };
  const claimOneByOne = async () => {
    while (started < count) await claim(started++);
  };
  await Promise.all(Array.from({ length: atOnce }, claimOneByOne));
  await Promise.all(keepers.map((keeper) => keeper.stop()));
  const calls = claimed.map(({ calls }) => calls).sort((a, b) => a - b);
  const seconds = (performance.now() - beganMs) / 1000;
  return { nodeIds: claimed.map(({ nodeId }) => nodeId), median: calls[count / 2], most: calls[count - 1], seconds };
}
