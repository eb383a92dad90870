import type { IdLayout } from "../id/layout.ts";
import { openLibc } from "../libc/libc.ts";
import { NodeHeldError } from "../reservation/errors.ts";
import { AHEAD_MS, type HolderOptions, ReservationHolder } from "../reservation/holder.ts";
import type { Reservation } from "../reservation/store.ts";
import { NodePool, POOL_BYTES } from "./node_pool.ts";
import { createOwnFile, createUnnamedFile, ForeignFileError, type NewFile } from "./own_file.ts";
import { PoolError } from "./pool_header.ts";

/**
 * How far ahead of the clock ticks are reserved where a pool makes restarts free, in ms: ids are to go on while the store does not answer
 * for 10 s, and then the last renewal was a second ago, and the next one may have to wait for one that is given up after 2 s.
 */
const LASTING_AHEAD_MS = 15_000;

/** What a node is held with. */
export interface HoldNodeOptions extends Omit<HolderOptions, "aheadMs" | "minTick"> {
  /** How its ids are laid out. */
  readonly layout: IdLayout;
  /** By what this boot of the system is known: see `readBootId`. */
  readonly boot: string | undefined;
  /** Where its pool is, or is to be. */
  readonly poolPath: string;
  /** Whether to reserve ticks past the mark although the clock is behind it (the policy `logical`). */
  readonly isBehindAllowed: boolean;
}

/** A node that is held. */
export interface NodeHold {
  /** What its ticks are reserved with. */
  readonly holder: ReservationHolder;
  /** What says which of them are taken. */
  readonly pool: NodePool;
  /** Why its ids do not go on where those before them ended, on this machine; `undefined` if they do. */
  readonly whyFromMark: string | undefined;
  /** Why the next server cannot go on where this one's ids end; `undefined` if it can. */
  readonly whyNotLasting: string | undefined;
}

/** What a pool says of its boot where the system does not say which one it is. Nobody looks for such a pool, since it has no path. */
const UNKNOWN_BOOT = "unknown";

/** How often to look again when the record changes between a look at it and the attempt to change it. */
const TRIES = 3;

/**
 * Takes hold of a node, for the one process of this machine that has its lock.
 *
 * 1. The record in the store names the holder that the machine's pool belongs to: whoever that was is no more, and this one goes on in
 *    its place, exactly there. Nothing is written. What its workers still take meanwhile, they take from the same pool.
 * 2. That pool is closed, since its holder was about to give the node back, or has given it back and nobody has used it since (the
 *    mark is the pool's first unused tick). A new holder goes on where the pool ends. It must have changed the record first: the change
 *    that gives back what it is about to use may still be on its way to the store, and fails from then on. And its pool must take the
 *    place of that one: who finds a closed pool may take it that nobody has gone on from there.
 * 3. Else a new holder begins at the mark; and not before the end of a pool of this boot, whatever the store says.
 *
 * @throws {LayoutMismatchError} If what is on record was written with another layout.
 * @throws {NodeHeldError} If others take the node, again and again, at the same moments.
 * @throws {unknown} What the store throws.
 */
export async function holdNode(options: HoldNodeOptions): Promise<NodeHold> {
  for (let tries = 1;; tries++) {
    try {
      return await tryToHold(options);
    } catch (error) {
      if (!(error instanceof NodeHeldError) || tries === TRIES) throw error;
    }
  }
}

async function tryToHold(options: HoldNodeOptions): Promise<NodeHold> {
  const { nodeId, layout, name, boot = UNKNOWN_BOOT, poolPath } = options;
  const found = await options.store.read(nodeId);
  const { pool, why, whyNoPlace, minTick = 0 } = findPool(found, options);
  if (pool !== undefined && pool.holder === found?.holder && pool.own()) {
    const holder = ReservationHolder.resume(found, { ...options, aheadMs: LASTING_AHEAD_MS });
    pool.extend(holder.mark);
    return { holder, pool, whyFromMark: undefined, whyNotLasting: undefined };
  }
  const { file, whyNotLasting } = whyNoPlace === undefined ? makeFile(poolPath) : makeFile(undefined, whyNoPlace);
  const aheadMs = whyNotLasting === undefined ? LASTING_AHEAD_MS : AHEAD_MS;
  const holderOptions = { ...options, aheadMs, minTick };
  const holder = await ReservationHolder.claimFrom(found, holderOptions).catch((error) => {
    file.discard();
    pool?.[Symbol.dispose]();
    throw error;
  });
  // What is left of a closed pool's last tick is for who takes its place at the path: or else, it would be there for the next one, too.
  const isSuccessor = pool !== undefined && whyNotLasting === undefined;
  const position = isSuccessor ? pool.position : { tick: holder.firstTick - 1, taken: layout.maxSequence + 1 };
  const created = NodePool.create(file, { boot, nodeId, layout, holder: name }, position, holder.mark);
  file.put();
  pool?.[Symbol.dispose]();
  const isFirst = found === undefined && minTick === 0;
  return { holder, pool: created, whyFromMark: isFirst ? undefined : why, whyNotLasting };
}

/**
 * Joins the server that holds a node on this machine, to take its place: everything but to own its pool.
 *
 * @throws {PoolError | ForeignFileError} If it has no pool that can be shared with this process.
 * @throws {LayoutMismatchError} If what is on record was written with another layout.
 * @throws {unknown} What the store throws.
 */
export async function joinNode(options: HoldNodeOptions): Promise<NodeHold> {
  const { store, nodeId, layout, poolPath, boot = UNKNOWN_BOOT } = options;
  const found = await store.read(nodeId);
  const pool = NodePool.open(poolPath, { boot, nodeId, layout });
  if (pool === undefined) throw new PoolError("it has no pool that others can find");
  if (pool.isClosed || found?.holder !== pool.holder) {
    pool[Symbol.dispose]();
    throw new PoolError("it does not hold the node any more");
  }
  const holder = ReservationHolder.resume(found, { ...options, aheadMs: LASTING_AHEAD_MS });
  return { holder, pool, whyFromMark: undefined, whyNotLasting: undefined };
}

/**
 * The pool of this machine that says what is taken of the ticks on record.
 *
 * @returns The pool. Or why there is none; if there can be none at its path, why; and the tick up to which another one that is there has
 * led this machine, which the store should know, and does not if it has been put back or deleted.
 */
function findPool(
  found: Reservation | undefined,
  { boot, poolPath, nodeId, layout }: HoldNodeOptions,
): { pool?: NodePool; why?: string; whyNoPlace?: string; minTick?: number } {
  const whyNoBoot = "the system does not say which boot this is";
  if (boot === undefined) return { why: whyNoBoot, whyNoPlace: whyNoBoot };
  try {
    const pool = NodePool.open(poolPath, { boot, nodeId, layout });
    if (pool === undefined) return { why: "there is no pool of it on this machine" };
    if (isOf(found, pool)) return { pool };
    const minTick = pool.isClosed ? pool.firstUnusedTick : pool.mark;
    pool[Symbol.dispose]();
    return {
      why: found === undefined ? "the store has no record of it" : "the node has been held elsewhere since",
      minTick,
    };
  } catch (error) {
    if (error instanceof PoolError) return { why: error.message };
    if (error instanceof ForeignFileError) return { why: error.message, whyNoPlace: error.message };
    throw error;
  }
}

/** Whether a pool says what is taken of the ticks on record: those of its holder, or what that one gave back and nobody has used. */
function isOf(found: Reservation | undefined, pool: NodePool): boolean {
  const { firstUnusedTick } = pool;
  return found?.holder === pool.holder || found?.holder === "" && pool.isClosed && found.mark === firstUnusedTick;
}

/** The file of a new pool; one without a path if there can be none at that one. */
function makeFile(path: string | undefined, why?: string): { file: NewFile; whyNotLasting: string | undefined } {
  const libc = openLibc();
  if (path === undefined) return { file: createUnnamedFile(libc, POOL_BYTES), whyNotLasting: why };
  try {
    return { file: createOwnFile(libc, path, POOL_BYTES), whyNotLasting: undefined };
  } catch (error) {
    return makeFile(undefined, (error as Error).message);
  }
}
