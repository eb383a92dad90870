import { checkInteger } from "../base/check.ts";
import { checkId } from "./layout.ts";

/** 2^32: more shards than anybody has, and few enough that the remainder of 64 bits favours none of them. */
const MAX_SHARDS = 2 ** 32;

/**
 * Says which of a number of shards an id belongs to, evenly for any ids.
 *
 * The remainder of an id itself spreads badly: its lowest bits are the node id, or the sequence number, which begins at
 * 0 in every tick. With the default layout, all ids of a node have the same `id % 1024n`. So the id's bits are mixed
 * first, and the remainder is that of the mixed number. The same id always has the same shard; another number of shards
 * moves most ids to another one.
 *
 * The mixing function is the one of SplitMix64 (variant 13 of David Stafford's "Better Bit Mixing", 2011; Steele, Lea
 * and Flood, "Fast Splittable Pseudorandom Number Generators", 2014), which standard libraries of other languages have
 * as well.
 *
 * @param id The id, from 0 to 2^64 - 1.
 * @param shardCount How many shards there are, 1 to 2^32.
 * @returns The shard, from 0 to `shardCount - 1`.
 * @throws {TypeError} If the id is not a `bigint`, or the number of shards not a number.
 * @throws {RangeError} If one is out of its range.
 *
 * @example One of 16 tables
 * ```ts
 * import { shardOf } from "@global-id/global-id";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(shardOf(1234567890123456789n, 16), 2);
 * ```
 */
export function shardOf(id: bigint, shardCount: number): number {
  checkInteger("shardCount", shardCount, 1, MAX_SHARDS);
  return Number(mix(checkId(id)) % BigInt(shardCount));
}

/** Each of the id's bits changes about half of the result's, and no two ids have the same one. */
function mix(id: bigint): bigint {
  let bits = id;
  bits = BigInt.asUintN(64, (bits ^ bits >> 30n) * 0xbf58476d1ce4e5b9n);
  bits = BigInt.asUintN(64, (bits ^ bits >> 27n) * 0x94d049bb133111ebn);
  return bits ^ bits >> 31n;
}
