import { abortable } from "../base/abortable.ts";
import { NodeHeldError } from "./errors.ts";
import { type HolderOptions, ReservationHolder } from "./holder.ts";
import { CheckedStore, type FoundRecord } from "./checked_store.ts";

/**
 * How long a record must stay the same for its holder to count as gone, in ms: a holder changes its record about once a
 * second. A holder that was merely stopped for so long loses its node; uniqueness does not depend on this.
 */
const GONE_AFTER_MS = 5000;

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
  const { nodeId: wanted, maxNodeId, signal, sleep } = options;
  const candidates = wanted === undefined ? nodeIdsFromRandomStart(maxNodeId) : [wanted];
  const held: [nodeId: number, found: FoundRecord][] = [];
  for (const nodeId of candidates) {
    const found = await store.read(nodeId);
    signal?.throwIfAborted();
    if (found !== undefined && found.record.holder !== "") {
      held.push([nodeId, found]);
      continue;
    }
    const holder = await claimUnlessOvertaken(found, { ...options, nodeId });
    if (holder !== undefined) return holder;
  }
  await sleep(GONE_AFTER_MS);
  for (const [nodeId, before] of held) {
    const found = await store.read(nodeId);
    signal?.throwIfAborted();
    if (found?.text !== before.text) continue;
    const holder = await claimUnlessOvertaken(found, { ...options, nodeId });
    if (holder !== undefined) return holder;
  }
  throw new NodeHeldError(
    wanted === undefined
      ? `all ${candidates.length} node ids are held: no more generators can run with this layout and store`
      : `node ${wanted} is held by another generator or server, which is running: choose another node id`,
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
    if (error instanceof NodeHeldError) return undefined;
    throw error;
  }
}

/**
 * All node ids in ascending order from a random one on, and around: replicas that start together try different ones.
 */
function nodeIdsFromRandomStart(maxNodeId: number): number[] {
  const count = maxNodeId + 1;
  const first = Math.floor(Math.random() * count);
  return Array.from({ length: count }, (_, i) => (first + i) % count);
}
