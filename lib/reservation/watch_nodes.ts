import type { CheckedStore, FoundRecord, Records } from "./checked_store.ts";
import { StoreError } from "./errors.ts";
import { isGivenBack } from "./holder_on_record.ts";

/** How long after a look the next one is, in ms. A holder changes its record every one or two seconds. */
const LOOK_MS = 500;

/**
 * What a node is doing:
 *
 * - `alive`: its holder has changed the record while it was watched;
 * - `silent`: it is held, and its holder has not changed the record;
 * - `free`: its last holder has given it back, or was freed of it;
 * - `unreadable`: its record is none that this release can read, and `found` says why.
 */
export type NodeStatus =
  | { readonly nodeId: number; readonly state: "alive" | "silent" | "free"; readonly found: FoundRecord }
  | { readonly nodeId: number; readonly state: "unreadable"; readonly found: StoreError };

/** What {@linkcode watchNodes} works with. */
export interface WatchNodesOptions {
  /** The store. */
  readonly store: CheckedStore;
  /** For how long to watch at most, in ms. */
  readonly watchMs: number;
  /** A clock that never steps, in ms. */
  readonly monotonicClock: { now(): number };
  /** Waits. */
  readonly sleep: (ms: number) => Promise<void>;
}

/**
 * Watches all nodes on record, until each holder has shown that it is alive or the time is over.
 *
 * @returns What each node is doing, by node id. Nodes that were never held are not among them.
 * @throws {unknown} What the store throws.
 */
export async function watchNodes({ store, watchMs, monotonicClock, sleep }: WatchNodesOptions): Promise<NodeStatus[]> {
  const endMs = monotonicClock.now() + watchMs;
  const alive = new Set<number>();
  let records = await store.list();
  while (monotonicClock.now() < endMs && [...records].some(([nodeId, found]) => !alive.has(nodeId) && isHeld(found))) {
    await sleep(LOOK_MS);
    const next = await store.list(records);
    for (const nodeId of next.keys()) if (hasChanged(nodeId, records, next)) alive.add(nodeId);
    records = next;
  }
  return [...records].sort(([a], [b]) => a - b).map(([nodeId, found]) => statusOf(nodeId, found, alive.has(nodeId)));
}

function statusOf(nodeId: number, found: FoundRecord | StoreError, isAlive: boolean): NodeStatus {
  if (found instanceof StoreError) return { nodeId, state: "unreadable", found };
  if (isGivenBack(found.record)) return { nodeId, state: "free", found };
  return { nodeId, state: isAlive ? "alive" : "silent", found };
}

function isHeld(found: FoundRecord | StoreError): boolean {
  return !(found instanceof StoreError) && !isGivenBack(found.record);
}

function hasChanged(nodeId: number, before: Records, after: Records): boolean {
  return textOf(before.get(nodeId)) !== textOf(after.get(nodeId));
}

function textOf(found: FoundRecord | StoreError | undefined): string | undefined {
  return found instanceof StoreError ? undefined : found?.text;
}
