import type { CheckedStore, FoundRecord, Records } from "./checked_store.ts";
import { StoreError } from "./errors.ts";
import { isGivenBack } from "./holder_on_record.ts";

/**
 * How often a node that is held is looked at again before its holder counts as gone, and how long after the look
 * before, in ms: a holder changes its record every one or two seconds. One that was merely stopped for so long loses
 * its node; uniqueness does not depend on this.
 */
const LOOKS = 3;
const LOOK_MS = 2000;

/** How many looks in a row may fail until the search does. */
const MAX_FAILURES = 5;

/** From how many free nodes one is chosen at least, if there are so many: those who start at once are to differ. */
const MIN_CHOICE = 16;

/** What {@linkcode findNodes} works with. */
export interface FindNodesOptions {
  /** The store. */
  readonly store: CheckedStore;
  /** The nodes that come into question. */
  readonly nodeIds: readonly number[];
  /** Whether a record means the layout that is wanted. If not, the node is left alone, unless it is the only one. */
  isOfLayout(layout: string): boolean;
  /** A clock that never steps, in ms. */
  readonly monotonicClock: { now(): number };
  /** Waits, until the time is over or the signal is aborted. */
  readonly sleep: (ms: number) => Promise<void>;
  /** Ends the search. */
  readonly signal?: AbortSignal | undefined;
}

/** A node that may be claimed. */
export interface FoundNode {
  /** The node. */
  readonly nodeId: number;
  /** Its record; `undefined` if it has none. */
  readonly found: FoundRecord | undefined;
}

/**
 * Finds nodes that nobody holds, one after the other, for a caller who tries to claim each: first those that are free,
 * rather the ones that were given back long ago; then those whose holders are gone.
 *
 * A holder counts as gone if its record stays the same over several looks, which the store has all answered in good
 * time. While a store is away, nobody can renew: right after, all holders look gone.
 *
 * @throws {StoreError} If the record of the only node in question cannot be read, or the store is too slow.
 * @throws {unknown} What the store throws, and the signal's reason.
 */
export async function* findNodes(options: FindNodesOptions): AsyncGenerator<FoundNode, void, undefined> {
  const search = new Search(options);
  yield* options.store.hasList ? search.free() : search.freeOneByOne();
  yield* search.gone();
}

/** One search. */
class Search {
  readonly #options: FindNodesOptions;
  /** What the last look has found. */
  #records: Records = new Map();
  /** Texts of the free nodes that were offered already. */
  readonly #offered = new Map<number, string | undefined>();

  constructor(options: FindNodesOptions) {
    this.#options = options;
  }

  /** Offers free nodes. After each that another claim was faster to take, looks again. */
  async *free(): AsyncGenerator<FoundNode, void, undefined> {
    while (true) {
      await this.#look();
      const node = this.#chooseFree();
      if (node === undefined) return;
      yield node;
    }
  }

  /** The same, from a store that cannot list its records: in the order of node ids from a random one on. */
  async *freeOneByOne(): AsyncGenerator<FoundNode, void, undefined> {
    const { nodeIds } = this.#options;
    const start = Math.floor(Math.random() * nodeIds.length);
    for (const nodeId of [...nodeIds.slice(start), ...nodeIds.slice(0, start)]) {
      await this.#read(nodeId);
      if (this.#isFree(nodeId)) yield this.#offer(nodeId);
    }
  }

  /** Watches the nodes that are held; offers those that become free, and then those that have not changed. */
  async *gone(): AsyncGenerator<FoundNode, void, undefined> {
    let watched = this.#held();
    for (let looks = 0, failures = 0; looks < LOOKS && watched.size > 0;) {
      // Longer after each failure in a row: a thousand that watch at once may be too many for the store.
      await this.#options.sleep(LOOK_MS * 2 ** failures);
      if (!await this.#lookInTime(++failures)) continue;
      // After a failure, the watch begins anew.
      looks = failures > 1 ? 0 : looks + 1;
      watched = failures > 1 ? this.#held() : this.#unchanged(watched);
      failures = 0;
      for (let node = this.#chooseFree(); node !== undefined; node = this.#chooseFree()) yield node;
    }
    while (watched.size > 0) {
      const nodeId = oneOf([...watched.keys()]);
      yield this.#offer(nodeId);
      watched.delete(nodeId);
      if (watched.size === 0 || !this.#options.store.hasList) continue;
      await this.#look();
      watched = this.#unchanged(watched);
    }
  }

  /** Looks at the nodes in question. */
  async #look(): Promise<void> {
    const { store, nodeIds, signal } = this.#options;
    if (nodeIds.length === 1 || !store.hasList) {
      for (const nodeId of nodeIds) await this.#read(nodeId);
      return;
    }
    this.#records = await store.list(this.#records);
    signal?.throwIfAborted();
  }

  async #read(nodeId: number): Promise<void> {
    const { store, nodeIds, signal } = this.#options;
    const found = await store.read(nodeId).catch((error) => {
      if (error instanceof StoreError && nodeIds.length > 1) return error;
      throw error;
    });
    signal?.throwIfAborted();
    if (found === undefined) this.#records.delete(nodeId);
    else this.#records.set(nodeId, found);
  }

  /**
   * Looks, and tells whether the store has answered as soon as one does that is not away.
   *
   * @param failures How many looks in a row have failed if this one does.
   */
  async #lookInTime(failures: number): Promise<boolean> {
    const { monotonicClock, signal } = this.#options;
    const beganMs = monotonicClock.now();
    try {
      await this.#look();
      const isInTime = monotonicClock.now() - beganMs < LOOK_MS;
      if (isInTime || failures < MAX_FAILURES) return isInTime;
      throw new StoreError(`the reservation store takes more than ${LOOK_MS} ms to answer`);
    } catch (error) {
      signal?.throwIfAborted();
      if (failures < MAX_FAILURES) return false;
      throw error;
    }
  }

  /** One of the free nodes: of those without a record, and with the lowest marks. */
  #chooseFree(): FoundNode | undefined {
    const free = this.#options.nodeIds.filter((nodeId) => this.#isFree(nodeId));
    if (free.length === 0) return undefined;
    const markOf = (nodeId: number) => recordOf(this.#records.get(nodeId))?.record.mark ?? -1;
    const oldest = free.sort((a, b) => markOf(a) - markOf(b)).slice(0, Math.max(MIN_CHOICE, free.length / 2));
    return this.#offer(oneOf(oldest));
  }

  /** Whether a node is free, and was not offered in this state. */
  #isFree(nodeId: number): boolean {
    const { nodeIds, isOfLayout } = this.#options;
    const found = this.#records.get(nodeId);
    if (found instanceof StoreError) return false;
    if (this.#offered.has(nodeId) && this.#offered.get(nodeId) === found?.text) return false;
    if (found === undefined) return true;
    if (!isOfLayout(found.record.layout)) return nodeIds.length === 1; // the claim will say what is wrong
    return isGivenBack(found.record);
  }

  #offer(nodeId: number): FoundNode {
    const found = recordOf(this.#records.get(nodeId));
    this.#offered.set(nodeId, found?.text);
    return { nodeId, found };
  }

  /** The nodes that are held, with their records' texts. */
  #held(): Map<number, string> {
    const { nodeIds, isOfLayout } = this.#options;
    return new Map(nodeIds.flatMap((nodeId) => {
      const found = recordOf(this.#records.get(nodeId));
      const isHeld = found !== undefined && !isGivenBack(found.record) && isOfLayout(found.record.layout);
      return isHeld ? [[nodeId, found.text]] : [];
    }));
  }

  /** Those whose records are still the same. */
  #unchanged(watched: Map<number, string>): Map<number, string> {
    return new Map([...watched].filter(([nodeId, text]) => recordOf(this.#records.get(nodeId))?.text === text));
  }
}

function recordOf(found: FoundRecord | StoreError | undefined): FoundRecord | undefined {
  return found instanceof StoreError ? undefined : found;
}

function oneOf<T>(choices: readonly T[]): T {
  return choices[Math.floor(Math.random() * choices.length)];
}
