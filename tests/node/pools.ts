import { openLibc } from "../../lib/libc/libc.ts";
import { NodePool, type PoolPosition } from "../../lib/node/node_pool.ts";
import type { PoolIdentity } from "../../lib/node/pool_header.ts";
import { createOwnFile } from "../../lib/node/own_file.ts";
import { POOL_BYTES } from "../../lib/node/pool_memory.ts";
import { SONYFLAKE_LAYOUT } from "../../mod.ts";
import { SequenceLease } from "../../lib/id/sequence_pool.ts";

/** What the pools of these tests belong to. A tick has 256 sequence numbers. */
export const IDENTITY: PoolIdentity = { boot: "b-1", nodeId: 7, layout: SONYFLAKE_LAYOUT, holder: "h-1" };

/** Nothing is taken: the first tick is 0. */
export const FROM_TICK_0: PoolPosition = { tick: -1, taken: 256 };

/** Makes a pool at a path: of node 7, with all ticks up to 2^30, unless something else is asked for. */
export function makePool(
  path: string,
  { position = FROM_TICK_0, mark = 2 ** 30, ...identity }: Partial<PoolIdentity> & {
    position?: PoolPosition;
    mark?: number;
  } = {},
): NodePool {
  const file = createOwnFile(openLibc(), path, POOL_BYTES);
  const pool = NodePool.create(file, { identity: { ...IDENTITY, ...identity }, position, mark });
  file.put();
  return pool;
}

/** Takes from a pool as whoever has nothing left of an earlier lease. */
export function acquire(pool: NodePool, tick: number, count: number): [tick: number, first: number, end: number] {
  const lease = new SequenceLease();
  pool.acquire(tick, count, lease);
  return [lease.tick, lease.first, lease.end];
}
