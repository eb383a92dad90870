import { VERSION } from "../base/own_command.ts";
import { sleep } from "../base/sleep.ts";
import { messageOf } from "../base/message_of.ts";
import type { IdLayout } from "../id/layout.ts";
import { LAYOUTS } from "../id/presets.ts";
import { readBootId } from "../node/boot_id.ts";
import { holdNode, type HoldNodeOptions, isResumable, joinNode } from "../node/hold_node.ts";
import type { NodePool } from "../node/node_pool.ts";
import { poolPathOf } from "../node/pool_path.ts";
import type { FoundRecord } from "../reservation/checked_store.ts";
import { claimNode as claimAnyNode } from "../reservation/claim.ts";
import { ReservationHolder } from "../reservation/holder.ts";
import type { HolderOptions } from "../reservation/holder_options.ts";
import type { HolderInfo } from "../reservation/reservation.ts";
import type { ReservationStore } from "../reservation/store.ts";
import { fillKernelRandom } from "../libc/kernel_random.ts";
import { fillRuntimeRandom, uniqueToken } from "../base/unique_token.ts";
import type { WorkerShare } from "./control_channel.ts";
import { ServeError } from "./serve_error.ts";
import type { ServeLog } from "./serve_log.ts";
import type { Backend, NodeOptions } from "./serve_options.ts";

/** The node of a server. */
export interface ClaimedNode {
  /** Reserves the node's ticks. */
  readonly holder: ReservationHolder;
  /**
   * Counts the ids taken of those ticks; `undefined` (backend `listen-datagram`): each worker has a subnode of its own.
   */
  readonly pool: NodePool | undefined;
}

/** What {@linkcode claimNode} works with. */
export interface ClaimNodeOptions {
  /** The options of the server. */
  readonly options: NodeOptions;
  /** The kind of the workers' sockets. */
  readonly backend: Backend;
  /** Keeps the reservations. */
  readonly store: ReservationStore;
  /** The directory of the store. */
  readonly stateDir: string;
  /** Gives up the wait for a node that another machine may have. */
  readonly signal?: AbortSignal | undefined;
  /** Who this server is, for those who look into the store. */
  readonly info?: HolderInfo;
  /** See `HoldNodeOptions.goneRecord`. */
  readonly goneRecord?: FoundRecord | undefined;
  /** See `HolderOptions.trustStore`. */
  readonly trustStore?: boolean;
  /** Receives the reasons if ids do not go on where the last ones ended, or the next server's will not. */
  readonly log: ServeLog;
}

/**
 * Claims the node. This process must hold the node's lock: the lock proves that no other holder is alive on this
 * machine, so the claim need not wait for one. With a store that machines share, it may have to wait for another one.
 *
 * @throws {ServeError} If the node cannot be claimed.
 */
export async function claimNode(claim: ClaimNodeOptions): Promise<ClaimedNode> {
  try {
    if (claim.backend === "listen-datagram") {
      return logSettling({ holder: await claimWithoutPool(claim), pool: undefined }, claim.log);
    }
    const { whyFromMark, whyNotLasting, ...node } = await holdNode(holdOptionsOf(claim));
    if (whyFromMark !== undefined) claim.log.info(`ids begin where the last reservation ends: ${whyFromMark}`);
    if (whyNotLasting !== undefined) {
      claim.log.warn(`after this server, ids will begin where its reservation ends: ${whyNotLasting}`);
    }
    return logSettling(node, claim.log);
  } catch (error) {
    throw new ServeError(messageOf(error), { cause: error });
  }
}

/**
 * Joins the running server of the node, which this one is about to take over from: both lease ids from its pool.
 *
 * @throws {ServeError} If the running server has no pool that this process can open.
 */
export async function joinRunningServer(claim: ClaimNodeOptions): Promise<ClaimedNode> {
  try {
    return await joinNode(holdOptionsOf(claim));
  } catch (error) {
    throw new ServeError(`the server that has the node cannot be replaced: ${messageOf(error)}`, { cause: error });
  }
}

/** Whether a claim would go on at once where this machine's last ids of the node ended. */
export async function goesOn(claim: ClaimNodeOptions): Promise<boolean> {
  return claim.backend === "reuseport" && await isResumable(holdOptionsOf(claim));
}

/** Says where a worker's ids come from. */
export function shareOf({ holder, pool }: ClaimedNode, workerCount: number): WorkerShare {
  if (pool !== undefined) return { kind: "pool", path: pool.path };
  return { kind: "subnode", workerCount, reservation: { firstTick: holder.firstTick, mark: holder.mark } };
}

async function claimWithoutPool(claim: ClaimNodeOptions): Promise<ReservationHolder> {
  const options = holderOptionsOf(claim);
  if (claim.store.isLocal) return await ReservationHolder.claim(options);
  const { signal } = claim;
  const { maxNodeId } = options.layout;
  return await claimAnyNode({ ...options, maxNodeId, sleep: (ms) => sleep(ms, signal), signal });
}

/** Says when there will be ids, if the store is one that may have gone back. */
function logSettling(node: ClaimedNode, log: ServeLog): ClaimedNode {
  const { nodeId, settledAtMs } = node.holder;
  if (settledAtMs !== undefined) {
    log.info(
      `node ${nodeId} has ids from ${new Date(settledAtMs).toISOString()} on: machines share the store, and all that ` +
        "an earlier server can have reserved is over then",
    );
  }
  return node;
}

function holdOptionsOf(claim: ClaimNodeOptions): HoldNodeOptions {
  const poolPath = poolPathOf(claim.stateDir, claim.options.nodeId);
  const { signal, goneRecord } = claim;
  const options = holderOptionsOf(claim);
  return { ...options, boot: readBootId(), poolPath, sleep: (ms) => sleep(ms, signal), signal, goneRecord };
}

function holderOptionsOf(
  { options, store, backend, info = {}, trustStore = false, log }: ClaimNodeOptions,
): HolderOptions & { readonly layout: IdLayout } {
  const { nodeId, layout, clockPolicy } = options;
  const fillRandom = backend === "reuseport" ? fillKernelRandom : fillRuntimeRandom;
  return {
    store,
    nodeId,
    layout: LAYOUTS[layout],
    name: uniqueToken(fillRandom),
    fillRandom,
    clock: Date,
    monotonicClock: performance,
    isBehindAllowed: clockPolicy === "logical",
    info: { version: VERSION, ...info },
    trustStore,
    warn: ({ message }) => log.warn(message),
  };
}
