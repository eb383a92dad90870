import { abortable } from "../base/abortable.ts";
import { NodeHeldError } from "./errors.ts";
import { type HolderOptions, ReservationHolder } from "./holder.ts";
import type { Reservation } from "./store.ts";

/**
 * How long a record must stay the same for its holder to count as gone, in ms: a holder changes it every second or so.
 * If that is wrong (a holder that was merely stopped for so long), it costs that holder its node, never uniqueness.
 */
const GONE_AFTER_MS = 5000;

/** What {@linkcode claimNode} is given. */
export interface ClaimOptions extends Omit<HolderOptions, "nodeId"> {
  /** The node to take; `undefined`: any that nobody holds. */
  readonly nodeId: number | undefined;
  /** The last node id. */
  readonly maxNodeId: number;
  /** Whether to reserve ticks past the mark although the clock is behind it (the policy `logical`). */
  readonly isBehindAllowed: boolean;
  /** Waits; gives up when the signal is aborted. */
  readonly sleep: (ms: number) => Promise<void>;
  /** Gives up the claim. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Takes a node that nobody holds: one that was never held or was given back or, failing that, one whose holder is gone.
 *
 * @param options Which node, and what to take it with.
 * @returns Its holder.
 * @throws {NodeHeldError} If all that come into question are held.
 * @throws {unknown} What the store throws, what `ReservationHolder.claimFrom` does, and the signal's reason. The node
 * is then nobody's: if a change of the record is under way, it is undone as soon as the store has answered.
 */
export async function claimNode(options: ClaimOptions): Promise<ReservationHolder> {
  options.signal?.throwIfAborted();
  const claim = claimFreeNode(options);
  try {
    return await unlessAborted(claim, options.signal);
  } catch (error) {
    // Nobody has got the holder, so its ticks are unused.
    claim.then((holder) => holder.release(holder.firstTick)).catch(() => {});
    throw error;
  }
}

/** The result of a promise, or a rejection with the signal's reason, whichever is first. */
function unlessAborted<Result>(promise: Promise<Result>, signal: AbortSignal | undefined): Promise<Result> {
  return abortable((resolve, reject) => void promise.then(resolve, reject), () => {}, signal);
}

async function claimFreeNode(options: ClaimOptions): Promise<ReservationHolder> {
  const candidates = options.nodeId === undefined ? shuffledUpTo(options.maxNodeId) : [options.nodeId];
  const held: [nodeId: number, found: Reservation][] = [];
  for (const nodeId of candidates) {
    const found = await options.store.read(nodeId);
    options.signal?.throwIfAborted();
    if (found !== undefined && found.holder !== "") {
      held.push([nodeId, found]);
      continue;
    }
    const holder = await replaceUnlessTaken(found, nodeId, options);
    if (holder !== undefined) return holder;
  }
  await options.sleep(GONE_AFTER_MS);
  for (const [nodeId, before] of held) {
    const found = await options.store.read(nodeId);
    options.signal?.throwIfAborted();
    if (found?.mark !== before.mark || found.holder !== before.holder) continue;
    const holder = await replaceUnlessTaken(found, nodeId, options);
    if (holder !== undefined) return holder;
  }
  throw new NodeHeldError(
    options.nodeId === undefined
      ? `all ${candidates.length} node ids are held: no more generators can run with this layout and store`
      : `node ${options.nodeId} is held by another generator or server, which is running: choose another node id`,
  );
}

/** Takes a node as it was found; `undefined` if another replica was faster. */
async function replaceUnlessTaken(
  found: Reservation | undefined,
  nodeId: number,
  options: ClaimOptions,
): Promise<ReservationHolder | undefined> {
  try {
    return await ReservationHolder.claimFrom(found, { ...options, nodeId }, options.isBehindAllowed);
  } catch (error) {
    if (error instanceof NodeHeldError) return undefined;
    throw error;
  }
}

/**
 * The integers from 0 on, beginning somewhere at random, so that replicas that start together do not meet at each one.
 */
function shuffledUpTo(max: number): number[] {
  const first = Math.floor(Math.random() * (max + 1));
  return Array.from({ length: max + 1 }, (_, i) => (first + i) % (max + 1));
}
