import { openLibc } from "../../lib/libc/libc.ts";
import { NodePool, type PoolPosition } from "../../lib/node/node_pool.ts";
import type { PoolIdentity } from "../../lib/node/pool_header.ts";
import { createOwnFile } from "../../lib/node/own_file.ts";
import { POOL_BYTES } from "../../lib/node/pool_memory.ts";
import { SONYFLAKE_LAYOUT } from "../../mod.ts";
import { SequenceLease } from "../../lib/id/sequence_pool.ts";

/** The identity of the pools of these tests. A tick has 256 sequence numbers. */
export const IDENTITY: PoolIdentity = { boot: "b-1", nodeId: 7, layout: SONYFLAKE_LAYOUT, holder: "h-1" };

/** The position of a pool of which nothing is taken: its first tick is 0. */
export const FROM_TICK_0: PoolPosition = { tick: -1, taken: 256 };

/** What {@linkcode makePool} makes; left out: {@linkcode IDENTITY}, from tick 0 on, with all ticks up to 2^30. */
export type TestPool = Partial<PoolIdentity> & { position?: PoolPosition; mark?: number; attempt?: string };

/** Makes a pool at a path. */
export function makePool(
  path: string,
  { position = FROM_TICK_0, mark = 2 ** 30, attempt = "at-1", ...identity }: TestPool = {},
): NodePool {
  const file = createOwnFile(openLibc(), path, POOL_BYTES);
  const pool = NodePool.create(file, { identity: { ...IDENTITY, ...identity }, position, mark, attempt });
  file.put();
  return pool;
}

/** Opens the pool at a path, which must be there. */
export function openPool(path: string, identity: Partial<PoolIdentity> = {}): NodePool {
  const pool = NodePool.open(path, { ...IDENTITY, ...identity });
  if (pool === undefined) throw new Error(`there is no pool at ${path}`);
  return pool;
}

/** Acquires a lease, with nothing left of an earlier one. */
export function acquire(pool: NodePool, tick: number, count: number): [tick: number, first: number, end: number] {
  const lease = new SequenceLease();
  pool.acquire(tick, count, lease);
  return [lease.tick, lease.first, lease.end];
}
