import { messageOf } from "../base/message_of.ts";
import type { IdLayout } from "../id/layout.ts";
import { openLibc } from "../libc/libc.ts";
import { heldError } from "../reservation/claim.ts";
import { OvertakenError } from "../reservation/errors.ts";
import { findNodes } from "../reservation/find_nodes.ts";
import { AHEAD_MS, ReservationHolder } from "../reservation/holder.ts";
import type { HolderOptions } from "../reservation/holder_options.ts";
import { NOBODY, parseHolder } from "../reservation/holder_on_record.ts";
import { readOwn } from "../reservation/read_own.ts";
import { SKEW_MS } from "../reservation/shared_store.ts";
import { StoreClock } from "../reservation/store_clock.ts";
import { CheckedStore, type FoundRecord } from "../reservation/checked_store.ts";
import type { Reservation } from "../reservation/reservation.ts";
import { NodePool } from "./node_pool.ts";
import { createOwnFile, createUnnamedFile, ForeignFileError, type NewFile } from "./own_file.ts";
import { PoolError } from "./pool_header.ts";
import { POOL_BYTES } from "./pool_memory.ts";

/**
 * How far ahead of the clock ticks are reserved if the pool outlives the server, in ms. Ids are to go on while the
 * store fails for 10 s: the last renewal may then be 1 s old, and the next may have to wait for one that is given up
 * after 2 s. A longer reservation costs nothing here, since the next server goes on from the pool without waiting for
 * the mark.
 */
const LASTING_AHEAD_MS = 15_000;

/**
 * The boot in a pool where the system does not tell its boot. No process looks for such a pool, since it has no path.
 */
const UNKNOWN_BOOT = "unknown";

/**
 * How often to try to claim a node before giving up, if other holders change its record between reading and writing.
 */
const TRIES = 3;

/** What {@linkcode holdNode} works with. */
export interface HoldNodeOptions extends Omit<HolderOptions, "aheadMs" | "minTick"> {
  /** Waits, if another machine may have the node, until the time is over or the signal is aborted. */
  readonly sleep: (ms: number) => Promise<void>;
  /** Gives up the wait. */
  readonly signal?: AbortSignal | undefined;
  /** How ids are laid out. */
  readonly layout: IdLayout;
  /** The boot of the system: see `readBootId`; `undefined` if the system does not tell it. */
  readonly boot: string | undefined;
  /** The path of the node's pool. */
  readonly poolPath: string;
  /** The record whose holder the caller has found to be gone (see `findNodes`); `undefined`: none. */
  readonly goneRecord?: FoundRecord | undefined;
}

/** A node that is held. */
export interface NodeHold {
  /** Reserves the node's ticks. */
  readonly holder: ReservationHolder;
  /** Counts the ids taken of them. */
  readonly pool: NodePool;
  /** Why ids begin at the mark, and do not go on where this machine's last ones ended; `undefined` if they go on. */
  readonly whyFromMark: string | undefined;
  /** Why the next server cannot go on where this one's ids end; `undefined` if it can. */
  readonly whyNotLasting: string | undefined;
}

/** The pool at a node's path, as far as it bears on the record in the store. */
interface FoundPool {
  /** The pool, if it counts the ids taken of the ticks on record. */
  readonly pool?: NodePool;
  /** Else: why there is none. */
  readonly whyFromMark?: string;
  /** Why no new pool can be put at the path either; `undefined` if one can. */
  readonly whyNotLasting?: string;
  /**
   * The first tick that a pool without a matching record leaves free. The store should have a mark at least as high,
   * and has not if it was deleted or put back.
   */
  readonly minTick?: number;
}

/**
 * Holds a node, for the one process of this machine that has acquired the node's lock.
 *
 * 1. The record in the store names the holder of this machine's pool: that holder is dead, since it has lost the lock.
 *    This process goes on in its place, exactly where the pool is, and writes no record. Workers that outlive the dead
 *    holder lease from the same pool.
 * 2. The same, but the pool is closed: its holder was about to release the node, or has released it, and the release is
 *    still on record. This process claims the node under a new name, and goes on where the pool ends. It changes the
 *    record first: the release that would lower the mark may still be under way to the store, and fails from then on.
 *    Its own pool must replace the closed one at the path; else the next server would find the closed pool, and use the
 *    same ticks again.
 * 3. In all other cases, this process claims the node, and begins at the mark on record. If this machine has a pool of
 *    this boot, it does not begin before that pool's end, whatever the store says.
 *
 * A store that machines share may have gone back to a record of this machine, and another machine may have had the node
 * since. That one owns nothing before the mark is over. So 1 and 2 apply only until then, unless the store is trusted.
 * And in 3, if another machine holds the node, this process watches for some seconds whether that one is gone.
 *
 * @throws {LayoutMismatchError} If the record was written with another layout.
 * @throws {NodeHeldError} If another machine holds the node, or others claim it, again and again, at the same moments.
 * @throws {ClockSkewError} If a claim finds that the clock and a shared store's time are too far apart.
 * @throws {unknown} What the store throws.
 */
export async function holdNode(options: HoldNodeOptions): Promise<NodeHold> {
  for (let tries = 1;; tries++) {
    try {
      return await tryToHold(options);
    } catch (error) {
      if (!(error instanceof OvertakenError) || tries === TRIES) throw error;
    }
  }
}

/**
 * Joins the running server of a node on this machine: the hold is complete once the caller makes the pool its own.
 *
 * @throws {PoolError | ForeignFileError} If the running server has no pool that this process can open.
 * @throws {LayoutMismatchError} If the record was written with another layout.
 * @throws {unknown} What the store throws.
 */
export async function joinNode(options: HoldNodeOptions): Promise<NodeHold> {
  const { nodeId, layout, poolPath, boot = UNKNOWN_BOOT } = options;
  const pool = NodePool.open(poolPath, { boot, nodeId, layout });
  if (pool === undefined) throw new PoolError("it has no pool that others can find");
  using unlessJoined = new DisposableStack();
  unlessJoined.use(pool);
  const store = CheckedStore.of(options.store);
  const { found, isOwn } = await readOwn(store, nodeId, (record) => isHolderOf(pool, record));
  if (pool.isClosed || !isOwn || found === undefined) throw new PoolError("it does not hold the node any more");
  const hold = resumeWith(pool, found, options);
  unlessJoined.move();
  return hold;
}

/** Whether {@linkcode holdNode} would go on at once where a pool of this machine ends. */
export async function isResumable(options: HoldNodeOptions): Promise<boolean> {
  const found = await CheckedStore.of(options.store).read(options.nodeId);
  using pool = findPool(found, options).pool;
  return pool !== undefined;
}

async function tryToHold(options: HoldNodeOptions): Promise<NodeHold> {
  const store = CheckedStore.of(options.store);
  const found = await store.read(options.nodeId);
  const onMachine = findPool(found, options);
  if (store.isShared) return await holdShared(store, onMachine, found, options);
  return tryToResume(onMachine.pool, found, options) ?? await claim(onMachine, found, options);
}

async function holdShared(
  store: CheckedStore,
  onMachine: FoundPool,
  found: FoundRecord | undefined,
  options: HoldNodeOptions,
): Promise<NodeHold> {
  const { pool } = onMachine;
  if (pool === undefined || found === undefined) {
    await checkGone(store, found, options);
    return await claim(onMachine, found, options);
  }
  // The mark on record may be of a change that came late, to a store that had gone back meanwhile.
  const mark = pool.isClosed ? found.record.mark : Math.min(pool.mark, found.record.mark);
  if (options.trustStore || !await isOver(mark, store, options)) {
    return tryToResume(pool, found, options) ?? await claim(onMachine, found, options);
  }
  const minTick = endOf(pool);
  pool[Symbol.dispose]();
  const whyFromMark = "the last reservation is over, and another machine may have had the node since";
  return await claim({ minTick, whyFromMark }, found, options);
}

/** Whether a shared store's time may be past a mark: then others may own ticks beyond. */
async function isOver(mark: number, store: CheckedStore, options: HoldNodeOptions): Promise<boolean> {
  const { clock, monotonicClock, layout: { epochMs, tickMs } } = options;
  const storeClock = new StoreClock({ store, clock, monotonicClock });
  await storeClock.measure();
  return storeClock.now() + SKEW_MS >= epochMs + mark * tickMs;
}

/**
 * Watches whether the holder on record, on another machine, is gone.
 *
 * @throws {NodeHeldError} If it is not.
 */
async function checkGone(store: CheckedStore, found: FoundRecord | undefined, options: HoldNodeOptions): Promise<void> {
  const { nodeId, layout, monotonicClock, sleep, signal, goneRecord } = options;
  if (found !== undefined && found.text === goneRecord?.text) return;
  const isOfLayout = (text: string) => layout.isRecordedAs(text);
  const search = findNodes({ store, nodeIds: [nodeId], isOfLayout, monotonicClock, sleep, signal });
  const { value } = await search.next();
  if (value === undefined) throw await heldError(store, nodeId);
  if (value.found?.text !== found?.text) throw new OvertakenError(nodeId);
}

/** Goes on from a pool whose holder is on record; `undefined` if the pool is another holder's, or closed. */
function tryToResume(
  pool: NodePool | undefined,
  found: FoundRecord | undefined,
  options: HoldNodeOptions,
): NodeHold | undefined {
  if (pool === undefined || found === undefined || !isHolderOf(pool, found.record) || !pool.own()) return undefined;
  return resumeWith(pool, found, options);
}

/** The holder owns the ticks up to the pool's mark. A higher mark on record counts once this holder has written it. */
function resumeWith(pool: NodePool, found: FoundRecord, options: HoldNodeOptions): NodeHold {
  const { attempts, mark } = pool;
  const ownsNothing = pool.firstUnusedTick >= mark;
  const resumeOptions = { ...options, attempts, aheadMs: LASTING_AHEAD_MS };
  const holder = ReservationHolder.resume(found, mark, resumeOptions, { ownsNothing });
  return { holder, pool, whyFromMark: undefined, whyNotLasting: undefined };
}

/**
 * Claims the node under a new name: first the record, then the pool, which begins where a closed one ends, or at the
 * mark.
 */
async function claim(
  onMachine: FoundPool,
  found: FoundRecord | undefined,
  options: HoldNodeOptions,
): Promise<NodeHold> {
  const { nodeId, layout, name, boot = UNKNOWN_BOOT } = options;
  using predecessor = onMachine.pool;
  const { file, whyNotLasting } = makeFile(options.poolPath, onMachine.whyNotLasting);
  const aheadMs = whyNotLasting === undefined ? LASTING_AHEAD_MS : AHEAD_MS;
  const { minTick = 0 } = onMachine;
  const isContinued = predecessor !== undefined;
  const holderOptions = { ...options, minTick, aheadMs };
  const holder = await ReservationHolder.claimFrom(found, holderOptions, { isContinued }).catch((error) => {
    file.discard();
    throw error;
  });
  // The rest of a closed pool's last tick goes to the pool that replaces it at the path. A pool that lies elsewhere
  // must not use that rest: the next server would find the closed pool, and use the same ids again.
  const isSuccessor = predecessor !== undefined && whyNotLasting === undefined;
  const position = isSuccessor ? predecessor.position : { tick: holder.firstTick - 1, taken: layout.maxSequence + 1 };
  const identity = { boot, nodeId, layout, holder: name };
  const pool = NodePool.create(file, { identity, position, mark: holder.mark, attempt: holder.attempt });
  holder.noteIn(pool.attempts);
  file.put();
  const isFirst = found === undefined && onMachine.minTick === undefined;
  return { holder, pool, whyFromMark: isFirst ? undefined : onMachine.whyFromMark, whyNotLasting };
}

/** Finds the pool of this machine, and whether it counts the ids taken of the ticks on record. */
function findPool(
  found: FoundRecord | undefined,
  { boot, poolPath, nodeId, layout }: HoldNodeOptions,
): FoundPool {
  if (boot === undefined) {
    const why = "the system does not say which boot this is";
    return { whyFromMark: why, whyNotLasting: why };
  }
  try {
    const pool = NodePool.open(poolPath, { boot, nodeId, layout });
    if (pool === undefined) return { whyFromMark: "there is no pool of it on this machine" };
    if (found !== undefined && isOf(found.record, pool)) return { pool };
    const minTick = endOf(pool);
    pool[Symbol.dispose]();
    const whyFromMark = found === undefined
      ? "the store has no record of it"
      : "the node has been held elsewhere since";
    return { whyFromMark, minTick };
  } catch (error) {
    if (error instanceof PoolError) return { whyFromMark: error.message };
    if (error instanceof ForeignFileError) return { whyFromMark: error.message, whyNotLasting: error.message };
    throw error;
  }
}

/** The first tick that a pool leaves to others. */
function endOf(pool: NodePool): number {
  return pool.isClosed ? pool.firstUnusedTick : pool.mark;
}

/**
 * Whether a pool counts the ticks on record: those of its holder, or those that its holder has released.
 */
function isOf(record: Reservation, pool: NodePool): boolean {
  const { name, attempt } = parseHolder(record.holder);
  const isReleased = name === NOBODY && pool.isClosed && pool.attempts.has(attempt);
  return isHolderOf(pool, record) || isReleased;
}

/**
 * Whether a pool's holder has written a record: by an attempt that this very memory has noted. A copy of this machine
 * has the same holder, and attempts of its own.
 */
function isHolderOf(pool: NodePool, record: Reservation): boolean {
  const { name, attempt } = parseHolder(record.holder);
  return name === pool.holder && pool.attempts.has(attempt);
}

/**
 * Makes the file of a new pool: without a path if none can be put at that path, for the given reason or for another
 * one.
 */
function makeFile(path: string, whyNot: string | undefined): { file: NewFile; whyNotLasting: string | undefined } {
  const libc = openLibc();
  if (whyNot !== undefined) return { file: createUnnamedFile(libc, POOL_BYTES), whyNotLasting: whyNot };
  try {
    return { file: createOwnFile(libc, path, POOL_BYTES), whyNotLasting: undefined };
  } catch (error) {
    const need = `a lasting pool needs a tmpfs at ${
      path.replace(/\/[^/]*$/, "")
    }, writable and with ${POOL_BYTES} bytes left`;
    return { file: createUnnamedFile(libc, POOL_BYTES), whyNotLasting: `${messageOf(error)} (${need})` };
  }
}
