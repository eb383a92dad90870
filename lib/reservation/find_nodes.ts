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

/**
 * How many looks in a row may be late, or fail, until the search fails. A store that is busy with a thousand claims is
 * late for a minute or so; one that is late for longer needs an operator.
 */
const MAX_MISSES = 10;

/** The longest pause before a look, in ms. */
const MAX_PAUSE_MS = 32_000;

/** How many candidates in a row may have changed until all nodes are listed again. */
const MAX_CHANGED = 4;

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
 * Where a thousand look at once, a list of all nodes costs the store a hundred times as much as one record. So a look
 * is at one node, a candidate; all are listed again only if that one has changed. How soon the store answers about one
 * node tells whether holders of all nodes can renew.
 *
 * @throws {StoreError} If the record of the only node in question cannot be read, or the store goes on being slow.
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
  /** What was found last. */
  #records: Records = new Map();
  /** Texts of the free nodes that were offered already. */
  readonly #offered = new Map<number, string | undefined>();
  /** The nodes that are watched, with their records' texts when the watch began. */
  #watched = new Map<number, string>();
  /** The one of them that is looked at. */
  #candidate: number | undefined;
  /** How long the last list took, in ms: for about so long, the store may be busy with those of others. */
  #busyMs = 0;
  /** How many looks in a row were late, or failed. */
  #misses = 0;
  /** How many failed since the last one that did not. */
  #failures = 0;

  constructor(options: FindNodesOptions) {
    this.#options = options;
  }

  /** Offers free nodes. After each that another claim was faster to take, looks again. */
  async *free(): AsyncGenerator<FoundNode, void, undefined> {
    while (true) {
      await this.#patiently(() => this.#look());
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
    this.#watched = this.#held();
    this.#chooseCandidate();
    for (let looks = 0; looks < LOOKS && this.#candidate !== undefined;) {
      await this.#options.sleep(this.#pauseMs());
      // After a look that was late or failed, the watch begins anew, with the next one that is not.
      looks = await this.#lookInTime() ? looks + 1 : -1;
      for (let node = this.#chooseFree(); node !== undefined; node = this.#chooseFree()) yield node;
    }
    while (this.#candidate !== undefined) {
      yield this.#offer(this.#candidate);
      this.#watched.delete(this.#candidate);
      this.#chooseCandidate();
      if (this.#candidate !== undefined) await this.#patiently(() => this.#lookAtCandidate());
    }
  }

  /** Looks whether the candidate's record is still the same; if not, goes on to others, and lists all after some. */
  async #lookAtCandidate(): Promise<void> {
    const { store, signal } = this.#options;
    for (let changed = 0; this.#candidate !== undefined; changed++) {
      if (changed === MAX_CHANGED && this.#isListed) break;
      const found = await store.read(this.#candidate);
      signal?.throwIfAborted();
      this.#note(this.#candidate, found);
      if (found?.text === this.#watched.get(this.#candidate)) return;
      this.#watched.delete(this.#candidate);
      this.#chooseCandidate();
    }
    if (!this.#isListed) return;
    await this.#look();
    this.#watched = this.#unchanged(this.#watched);
    this.#chooseCandidate();
  }

  #chooseCandidate(): void {
    this.#candidate = this.#watched.size === 0 ? undefined : oneOf([...this.#watched.keys()]);
  }

  /** Looks; again, if that fails although the store answers: it may be busy with a thousand who look at once. */
  async #patiently(look: () => Promise<void>): Promise<void> {
    const { store, nodeIds, monotonicClock, signal, sleep } = this.#options;
    for (let failures = 1;; failures++) {
      const beganMs = monotonicClock.now();
      try {
        await look();
        this.#busyMs = monotonicClock.now() - beganMs;
        return;
      } catch (error) {
        signal?.throwIfAborted();
        if (failures === MAX_FAILURES || !this.#isListed) throw error;
        await store.read(nodeIds[0]).catch(() => Promise.reject(error));
      }
      await sleep(Math.random() * Math.min(LOOK_MS * 4 ** failures, MAX_PAUSE_MS));
    }
  }

  /** Whether a look at all nodes in question is a list. */
  get #isListed(): boolean {
    return this.#options.store.hasList && this.#options.nodeIds.length > 1;
  }

  /** Looks at the nodes in question. */
  async #look(): Promise<void> {
    const { store, nodeIds, signal } = this.#options;
    if (!this.#isListed) {
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
    this.#note(nodeId, found);
  }

  #note(nodeId: number, found: FoundRecord | StoreError | undefined): void {
    if (found === undefined) this.#records.delete(nodeId);
    else this.#records.set(nodeId, found);
  }

  /** Looks at the candidate, and tells whether the store has answered as soon as one does that is not away. */
  async #lookInTime(): Promise<boolean> {
    const { monotonicClock, signal } = this.#options;
    const beganMs = monotonicClock.now();
    try {
      await this.#lookAtCandidate();
      this.#failures = 0;
    } catch (error) {
      signal?.throwIfAborted();
      if (++this.#failures === MAX_FAILURES || ++this.#misses === MAX_MISSES) throw error;
      this.#chooseCandidate(); // in case that it is only this one's record that cannot be read
      return false;
    }
    const isInTime = monotonicClock.now() - beganMs < LOOK_MS;
    this.#misses = isInTime ? 0 : this.#misses + 1;
    if (this.#misses < MAX_MISSES) return isInTime;
    throw new StoreError(
      `the reservation store takes more than ${LOOK_MS} ms to answer, ${MAX_MISSES} times in a row: see whether it ` +
        "has CPUs and a disk that are fast enough, or start fewer generators or servers at a time",
    );
  }

  /** How long to wait before the next look: longer after each in a row that failed, or was late. */
  #pauseMs(): number {
    const pauseMs = Math.min(Math.max(LOOK_MS * 2 ** this.#misses, this.#busyMs), MAX_PAUSE_MS);
    // A store that is late may be busy with a thousand that watch at once: they are not all to look at once again.
    const isLate = this.#misses > this.#failures;
    return isLate ? pauseMs * (1 + Math.random()) / 2 : pauseMs;
  }

  /** One of the free nodes: of those without a record, all of them, and with the lowest marks. */
  #chooseFree(): FoundNode | undefined {
    const free = this.#options.nodeIds.filter((nodeId) => this.#isFree(nodeId));
    if (free.length === 0) return undefined;
    const markOf = (nodeId: number) => recordOf(this.#records.get(nodeId))?.record.mark ?? -1;
    const unused = free.filter((nodeId) => !this.#records.has(nodeId)).length;
    const choice = Math.max(MIN_CHOICE, free.length / 2, unused);
    const oldest = free.sort((a, b) => markOf(a) - markOf(b)).slice(0, choice);
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
