import { LAYOUTS } from "../id/presets.ts";
import { readBootId } from "../node/boot_id.ts";
import { holdNode, type HoldNodeOptions, joinNode } from "../node/hold_node.ts";
import type { NodePool } from "../node/node_pool.ts";
import { poolPathOf } from "../node/pool_path.ts";
import { ReservationHolder } from "../reservation/holder.ts";
import type { ReservationStore } from "../reservation/store.ts";
import type { WorkerShare } from "./control_channel.ts";
import { ServeError, type ServeLog } from "./serve_error.ts";
import type { Backend, ServeOptions } from "./serve_options.ts";

/** How the server has its node. */
export interface Tenure {
  readonly holder: ReservationHolder;
  /** What says which ids are taken; `undefined`: each worker has some to itself. */
  readonly pool: NodePool | undefined;
}

/** What {@linkcode takeNode} works with. */
export interface TakeNodeOptions {
  readonly options: ServeOptions;
  readonly backend: Backend;
  /** Whether another server has it. */
  readonly isTakeover: boolean;
  readonly store: ReservationStore;
  readonly stateDir: string;
  readonly log: ServeLog;
}

/**
 * Takes the node, whose lock this process has; or joins the server that has it, to take its place.
 *
 * @throws {ServeError} If the node cannot be had.
 */
export async function takeNode(
  { options, backend, isTakeover, store, stateDir, log }: TakeNodeOptions,
): Promise<Tenure> {
  const { nodeId, layout, clockPolicy } = options;
  const holderOptions = {
    ...{ store, nodeId, layout: LAYOUTS[layout], name: crypto.randomUUID() },
    ...{ clock: Date, monotonicClock: performance },
  };
  const isBehindAllowed = clockPolicy === "logical";
  try {
    // The lock has made sure that no other holder on this machine is left, so nobody has to be waited for.
    if (backend === "listen-datagram") {
      return { holder: await ReservationHolder.claim(holderOptions, isBehindAllowed), pool: undefined };
    }
    const holdOptions: HoldNodeOptions = {
      ...{ ...holderOptions, isBehindAllowed },
      ...{ boot: readBootId(), poolPath: poolPathOf(stateDir, nodeId) },
    };
    if (isTakeover) return await joinNode(holdOptions);
    const { whyFromMark, whyNotLasting, ...tenure } = await holdNode(holdOptions);
    if (whyFromMark !== undefined) log.info(`ids begin where the last reservation ends: ${whyFromMark}`);
    if (whyNotLasting !== undefined) {
      log.warn(`after this server, ids will begin where its reservation ends: ${whyNotLasting}`);
    }
    return tenure;
  } catch (error) {
    const message = (error as Error).message;
    throw new ServeError(isTakeover ? `the server that has the node cannot be replaced: ${message}` : message);
  }
}

/** Which of the node's ids a worker has. */
export function shareOf({ holder, pool }: Tenure, workerCount: number): WorkerShare {
  if (pool !== undefined) return { kind: "pool", path: pool.path };
  return { kind: "subnode", workerCount, reservation: { firstTick: holder.firstTick, mark: holder.mark } };
}
