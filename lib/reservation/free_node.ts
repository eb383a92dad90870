import { type FillRandom, uniqueToken } from "../base/unique_token.ts";
import type { CheckedStore, FoundRecord } from "./checked_store.ts";
import { NodeHeldError } from "./errors.ts";
import { findNodes } from "./find_nodes.ts";
import { formatHolder, isGivenBack, NOBODY } from "./holder_on_record.ts";
import { describeHolder } from "./reservation.ts";

/** What {@linkcode freeNode} works with. */
export interface FreeNodeOptions {
  /** The store. */
  readonly store: CheckedStore;
  /** The node. */
  readonly nodeId: number;
  /** A clock that never steps, in ms. */
  readonly monotonicClock: { now(): number };
  /** Waits. */
  readonly sleep: (ms: number) => Promise<void>;
  /**
   * Where the random bytes of the change come from.
   *
   * @default {crypto.getRandomValues}
   */
  readonly fillRandom?: FillRandom;
}

/**
 * Takes a node from a holder that is gone, so that the next claim need not watch for that. Whether it is gone is found
 * out as a claim does: its record stays the same for some seconds.
 *
 * The mark stays, whatever the layout: all ticks that the holder may have used are below it. A holder that was merely
 * stopped finds the changed record at its next renewal, and loses the node; it gets no more ticks.
 *
 * @returns The record of the holder that was gone; `undefined` if nobody had the node.
 * @throws {NodeHeldError} If the holder is not gone.
 * @throws {StoreError} If the record cannot be read.
 * @throws {unknown} What the store throws. The node may be freed then or not: ask again.
 */
export async function freeNode(options: FreeNodeOptions): Promise<FoundRecord | undefined> {
  const { store, nodeId, fillRandom } = options;
  const search = findNodes({ ...options, nodeIds: [nodeId], isOfLayout: () => true });
  const { value } = await search.next();
  if (value === undefined) throw await aliveError(store, nodeId);
  const { found } = value;
  if (found === undefined || isGivenBack(found.record)) return undefined;
  const { record } = found;
  const holder = formatHolder({ name: NOBODY, attempt: uniqueToken(fillRandom) });
  const freed = await store.compareAndSet(nodeId, found, { ...record, beat: record.beat + 1, holder, info: {} });
  if (freed === undefined) throw await aliveError(store, nodeId);
  return found;
}

async function aliveError(store: CheckedStore, nodeId: number): Promise<NodeHeldError> {
  const found = await store.read(nodeId);
  const holder = found === undefined ? "another holder" : describeHolder(found.record);
  return new NodeHeldError(`node ${nodeId} is held by ${holder}, which is alive: stop that first, or leave it`);
}
