import type { NodeLock } from "../node/node_lock.ts";
import { LayoutMismatchError, NodeHeldError, OvertakenError } from "../reservation/errors.ts";
import { type ClaimedNode, claimNode, type ClaimNodeOptions, goesOn, joinRunningServer } from "./claim_node.ts";
import { candidateNodes, type NodeCandidate } from "./node_choice.ts";
import { ServeError } from "./serve_error.ts";
import type { NodeOptions, ServeOptions } from "./serve_options.ts";
import { awaitEarlierWorkers, checkTakeover } from "./startup_checks.ts";
import { nodesIn, openLock, tryLock } from "./state_dir.ts";

/** What a node is taken with: see {@linkcode ClaimNodeOptions}. */
export interface TakeOptions extends Omit<ClaimNodeOptions, "options" | "goneRecord"> {
  /** The options of the server. */
  readonly options: ServeOptions;
  /** Gives up. */
  readonly signal: AbortSignal;
}

/** A node that this process serves from now on. */
export interface TakenNode {
  /** The options of the server, with the node. */
  readonly options: NodeOptions;
  /** The node's lock; another server has it until it has been taken over from. */
  readonly lock: NodeLock;
  /** The node. */
  readonly node: ClaimedNode;
  /** Whether another server of this machine serves the node, and is to be taken over from. */
  readonly isTakeover: boolean;
}

/**
 * Takes a node: locks it on this machine, or finds the server that is to be replaced; then claims it in the store.
 *
 * @throws {ServeError} If the node cannot be had.
 */
export async function takeNode(take: TakeOptions, nodeId: number): Promise<TakenNode> {
  const options = { ...take.options, nodeId };
  return await withLock(take, nodeId, async (lock) => {
    const isTakeover = !await tryLock(lock, take.log);
    if (isTakeover) await checkTakeover(options, take.backend, lock);
    else await awaitEarlierWorkers(options, take.backend, lock, take.log);
    take.signal.throwIfAborted();
    const claim = { ...take, options };
    const node = isTakeover ? await joinRunningServer(claim) : await claimNode(claim);
    return { options, lock, node, isTakeover };
  });
}

/**
 * Takes any node that nobody holds, rather one that this machine has had; with `--replace`, that of the server that
 * runs on this machine.
 *
 * @throws {ServeError} If there is none, or several servers run on this machine and one is to be replaced.
 */
export async function takeAnyNode(take: TakeOptions): Promise<TakenNode> {
  const { options, store, stateDir, signal } = take;
  if (options.isReplacing) {
    const running = await runningNodes(take);
    if (running.length > 1) {
      throw new ServeError(
        `nodes ${running.join(", ")} are served from ${stateDir}: say which one with --node-id, or leave out --replace`,
      );
    }
    if (running.length === 1) return await takeNode(take, running[0]);
  }
  for await (const candidate of candidateNodes(options, store, stateDir, signal)) {
    const taken = await tryToTake(take, candidate);
    if (taken !== undefined) return taken;
  }
  throw new ServeError(
    "all node ids of the layout are held, or on record with another layout: stop a server, or use a layout with more " +
      "nodes and another store",
  );
}

/** Takes a node if nobody else has it; `undefined` if somebody has, or this machine cannot go on with its own. */
async function tryToTake(
  take: TakeOptions,
  { nodeId, isOwn, goneRecord }: NodeCandidate,
): Promise<TakenNode | undefined> {
  const options = { ...take.options, nodeId };
  const claim = { ...take, options, goneRecord };
  try {
    return await withLock(take, nodeId, async (lock) => {
      if (!await tryLock(lock, take.log) || isOwn && !await goesOn(claim)) return undefined;
      await awaitEarlierWorkers(options, take.backend, lock, take.log);
      return { options, lock, node: await claimNode(claim), isTakeover: false };
    });
  } catch (error) {
    if (error instanceof ServeError && isAnothers(error.cause)) return undefined;
    throw error;
  }
}

function isAnothers(cause: unknown): boolean {
  return cause instanceof NodeHeldError || cause instanceof OvertakenError || cause instanceof LayoutMismatchError;
}

/** Opens a node's lock, and lets go of it again unless the node is taken. */
async function withLock<Taken>(
  { stateDir, log }: TakeOptions,
  nodeId: number,
  take: (lock: NodeLock) => Promise<Taken>,
): Promise<Taken> {
  using unlessTaken = new DisposableStack();
  const lock = unlessTaken.use(await openLock(stateDir, nodeId, log));
  const taken = await take(lock);
  if (taken !== undefined) unlessTaken.move();
  return taken;
}

/** The nodes that servers of this machine have locked. */
async function runningNodes({ stateDir, log }: TakeOptions): Promise<number[]> {
  const running: number[] = [];
  for (const nodeId of await nodesIn(stateDir)) {
    using lock = await openLock(stateDir, nodeId, log);
    if (!await lock.tryAcquire()) running.push(nodeId);
  }
  return running;
}
