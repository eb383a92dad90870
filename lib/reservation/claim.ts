import { abortable } from "../base/abortable.ts";
import { NodeHeldError, OvertakenError } from "./errors.ts";
import { findNodes } from "./find_nodes.ts";
import { ReservationHolder } from "./holder.ts";
import type { HolderOptions } from "./holder_options.ts";
import { CheckedStore, type FoundRecord } from "./checked_store.ts";
import { describeHolder } from "./reservation.ts";

/** Options for {@linkcode claimNode}. */
export interface ClaimOptions extends Omit<HolderOptions, "nodeId"> {
  /** The node to claim; `undefined`: any that nobody holds. */
  readonly nodeId: number | undefined;
  /** The last node id. */
  readonly maxNodeId: number;
  /** Waits, until the time is over or the signal is aborted. */
  readonly sleep: (ms: number) => Promise<void>;
  /** Gives up the claim. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Claims a node that nobody holds: one that was never held or was given back or, failing that, one whose holder is
 * gone.
 *
 * @param options Which node, and how to hold it.
 * @returns The node's holder.
 * @throws {NodeHeldError} If all nodes that come into question are held.
 * @throws {unknown} What the store throws, what `ReservationHolder.claimFrom` throws, and the signal's reason. The node
 * is then nobody's: a claim that is under way is undone as soon as the store has answered.
 */
export async function claimNode(options: ClaimOptions): Promise<ReservationHolder> {
  options.signal?.throwIfAborted();
  const claim = claimFreeNode(options);
  try {
    return await unlessAborted(claim, options.signal);
  } catch (error) {
    // The caller never gets this holder, so all its ticks are unused.
    claim.then((holder) => holder.release(holder.firstTick)).catch(() => {});
    throw error;
  }
}

/** The result of a promise, or a rejection with the signal's reason, whichever is first. */
function unlessAborted<Result>(promise: Promise<Result>, signal: AbortSignal | undefined): Promise<Result> {
  return abortable((resolve, reject) => void promise.then(resolve, reject), () => {}, signal);
}

async function claimFreeNode(options: ClaimOptions): Promise<ReservationHolder> {
  const store = CheckedStore.of(options.store);
  const { nodeId: wanted, maxNodeId, layout, monotonicClock, sleep, signal } = options;
  const nodeIds = wanted === undefined ? Array.from({ length: maxNodeId + 1 }, (_, nodeId) => nodeId) : [wanted];
  const isOfLayout = (text: string) => layout.isRecordedAs(text);
  for await (const { nodeId, found } of findNodes({ store, nodeIds, isOfLayout, monotonicClock, sleep, signal })) {
    const holder = await claimUnlessOvertaken(found, { ...options, nodeId });
    if (holder !== undefined) return holder;
  }
  if (wanted !== undefined) throw await heldError(store, wanted);
  throw new NodeHeldError(
    `all ${nodeIds.length} node ids are held, or on record with another layout: no more generators or servers can run ` +
      "with this layout and store",
  );
}

/** The error that says who has a node. */
export async function heldError(store: CheckedStore, nodeId: number): Promise<NodeHeldError> {
  const found = await store.read(nodeId).catch(() => undefined);
  const holder = found === undefined ? "" : ` (${describeHolder(found.record)})`;
  return new NodeHeldError(
    `node ${nodeId} is held by another generator or server${holder}, which is running: choose another node id`,
  );
}

/** The holder of a node, if its record still is as it was found; `undefined` if another replica was faster. */
async function claimUnlessOvertaken(
  found: FoundRecord | undefined,
  options: HolderOptions,
): Promise<ReservationHolder | undefined> {
  try {
    return await ReservationHolder.claimFrom(found, options);
  } catch (error) {
    if (error instanceof OvertakenError) return undefined;
    throw error;
  }
}
