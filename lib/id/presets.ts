import { IdLayout } from "./layout.ts";

/** 2020-01-01T00:00:00Z, in ms since the Unix epoch: when this project's own layouts begin. */
const EPOCH_2020_MS = 1_577_836_800_000;

/**
 * The layout of this project: 1 s ticks since 2020, 131,072 ids a second on each of 1024 nodes, until the year 6375.
 * As a signed 64-bit integer (a `bigint` column) its ids stay non-negative until the year 4197.
 *
 *     | time 37 bits | sequence 17 bits | node id 10 bits |
 *
 * @example When an id was made
 * ```ts
 * import { DEFAULT_LAYOUT } from "@global-id/global-id";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(DEFAULT_LAYOUT.timestampOf(29210240083821568n).toISOString(), "2026-11-23T21:40:48.000Z");
 * ```
 */
export const DEFAULT_LAYOUT: IdLayout = new IdLayout({
  timeBits: 37,
  sequenceBits: 17,
  nodeBits: 10,
  tickMs: 1000,
  epochMs: EPOCH_2020_MS,
});

/**
 * The default layout with eight times the ids: 1,048,576 a second on each of 1024 nodes, until the year 2564. As a
 * signed 64-bit integer its ids stay non-negative until the year 2292.
 *
 *     | time 34 bits | sequence 20 bits | node id 10 bits |
 *
 * @example A million ids a second
 * ```ts
 * import { IdGenerator, WIDE_LAYOUT } from "@global-id/global-id";
 *
 * const ids = new IdGenerator({ nodeId: 7, layout: WIDE_LAYOUT });
 * ```
 */
export const WIDE_LAYOUT: IdLayout = new IdLayout({
  timeBits: 34,
  sequenceBits: 20,
  nodeBits: 10,
  tickMs: 1000,
  epochMs: EPOCH_2020_MS,
});

/**
 * A layout for few nodes that hand out ids by the million: 67,108,864 ids a second on each of 64 nodes, until the year
 * 2156. As a signed 64-bit integer its ids stay non-negative until the year 2088.
 *
 *     | time 32 bits | sequence 26 bits | node id 6 bits |
 *
 * @example The last of 64 nodes
 * ```ts
 * import { DENSE_LAYOUT, IdGenerator } from "@global-id/global-id";
 *
 * const ids = new IdGenerator({ nodeId: DENSE_LAYOUT.maxNodeId, layout: DENSE_LAYOUT });
 * ```
 */
export const DENSE_LAYOUT: IdLayout = new IdLayout({
  timeBits: 32,
  sequenceBits: 26,
  nodeBits: 6,
  tickMs: 1000,
  epochMs: EPOCH_2020_MS,
});

/**
 * A layout of 53 bits, whose ids are exact as a JavaScript `number` (at most `Number.MAX_SAFE_INTEGER`, 2^53 - 1):
 * 8,192 ids a second on each of 256 nodes, until the year 2156.
 *
 *     | time 32 bits | sequence 13 bits | node id 8 bits |
 *
 * @example Ids that are exact as numbers
 * ```ts
 * import { NUMBER_LAYOUT } from "@global-id/global-id";
 * import { assertEquals } from "@std/assert";
 *
 * const id = NUMBER_LAYOUT.pack({ tick: NUMBER_LAYOUT.maxTick, sequence: 8191, nodeId: 255 });
 * assertEquals(Number(id), Number.MAX_SAFE_INTEGER);
 * ```
 */
export const NUMBER_LAYOUT: IdLayout = new IdLayout({
  timeBits: 32,
  sequenceBits: 13,
  nodeBits: 8,
  tickMs: 1000,
  epochMs: EPOCH_2020_MS,
});

/**
 * Twitter's Snowflake: 4,096 ids a millisecond on each of 1024 workers (5 bits of data centre, 5 of worker), until
 * 2080. Its ids have 63 bits, so that a signed 64-bit integer holds them all.
 *
 *     | time 41 bits | node id 10 bits | sequence 12 bits |
 *
 * Source: `IdWorker.scala` of https://github.com/twitter-archive/snowflake (2010): `twepoch = 1288834974657L`,
 * `workerIdBits = 5L`, `datacenterIdBits = 5L`, `sequenceBits = 12L`.
 *
 * @example When a post was made
 * ```ts
 * import { TWITTER_LAYOUT } from "@global-id/global-id";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(TWITTER_LAYOUT.timestampOf(1541815603606036480n).toISOString(), "2022-06-28T16:07:40.105Z");
 * ```
 */
export const TWITTER_LAYOUT: IdLayout = new IdLayout({
  timeBits: 41,
  sequenceBits: 12,
  nodeBits: 10,
  tickMs: 1,
  epochMs: 1_288_834_974_657,
  order: "node-sequence",
});

/**
 * Discord's snowflakes: 4,096 ids a millisecond on each of 1024 nodes (5 bits of worker, 5 of process), until 2154. As
 * a signed 64-bit integer its ids stay non-negative until the year 2084.
 *
 *     | time 42 bits | node id 10 bits | sequence 12 bits |
 *
 * Source: "Snowflakes" in https://discord.com/developers/docs/reference: milliseconds since the first second of 2015
 * (1420070400000) in bits 63 to 22, worker in 21 to 17, process in 16 to 12, increment in 11 to 0.
 *
 * @example The id in Discord's own documentation
 * ```ts
 * import { DISCORD_LAYOUT } from "@global-id/global-id";
 * import { assertEquals } from "@std/assert";
 *
 * const id = 175928847299117063n;
 * assertEquals(DISCORD_LAYOUT.timestampOf(id).toISOString(), "2016-04-30T11:18:25.796Z");
 * assertEquals(DISCORD_LAYOUT.unpack(id).sequence, 7);
 * ```
 */
export const DISCORD_LAYOUT: IdLayout = new IdLayout({
  timeBits: 42,
  sequenceBits: 12,
  nodeBits: 10,
  tickMs: 1,
  epochMs: 1_420_070_400_000,
  order: "node-sequence",
});

/**
 * Sonyflake: 256 ids per 10 ms on each of 65,536 machines, until 2188. Its ids have 63 bits, so that a
 * signed 64-bit integer holds them all.
 *
 *     | time 39 bits | sequence 8 bits | node id 16 bits |
 *
 * Source: https://github.com/sony/sonyflake (version 1): `BitLenTime = 39`, `BitLenSequence = 8`,
 * `BitLenMachineID = 16`, units of 10 ms, and a default `StartTime` of 2014-09-01T00:00:00Z.
 *
 * @example How long Sonyflake lasts
 * ```ts
 * import { SONYFLAKE_LAYOUT } from "@global-id/global-id";
 * import { assertEquals } from "@std/assert";
 *
 * const last = 2n ** 63n - 1n;
 * assertEquals(SONYFLAKE_LAYOUT.timestampOf(last).getUTCFullYear(), 2188);
 * ```
 */
export const SONYFLAKE_LAYOUT: IdLayout = new IdLayout({
  timeBits: 39,
  sequenceBits: 8,
  nodeBits: 16,
  tickMs: 10,
  epochMs: 1_409_529_600_000,
});

/**
 * Instagram's ids: 1,024 a millisecond in each of 8,192 logical shards, until 2081. As a signed 64-bit integer its ids
 * stay non-negative until the year 2046.
 *
 *     | time 41 bits | node id (shard) 13 bits | sequence 10 bits |
 *
 * Source: "Sharding & IDs at Instagram" (Instagram Engineering, 2011), the PL/pgSQL function `insta5.next_id`, whose
 * `our_epoch` is 1314220021721.
 *
 * @example The shard of an id
 * ```ts
 * import { INSTAGRAM_LAYOUT } from "@global-id/global-id";
 * import { assertEquals } from "@std/assert";
 *
 * const id = INSTAGRAM_LAYOUT.pack({ tick: 1387263000, sequence: 905, nodeId: 1341 });
 * assertEquals(INSTAGRAM_LAYOUT.unpack(id).nodeId, 1341);
 * ```
 */
export const INSTAGRAM_LAYOUT: IdLayout = new IdLayout({
  timeBits: 41,
  sequenceBits: 10,
  nodeBits: 13,
  tickMs: 1,
  epochMs: 1_314_220_021_721,
  order: "node-sequence",
});

/**
 * The name of a preset, as the `--layout` flag of the server takes it.
 *
 * @example The layout that a setting names
 * ```ts
 * import { type LayoutName, LAYOUTS } from "@global-id/global-id";
 *
 * const name: LayoutName = "twitter";
 * const layout = LAYOUTS[name];
 * ```
 */
export type LayoutName = "default" | "wide" | "dense" | "number" | "twitter" | "discord" | "sonyflake" | "instagram";

/**
 * The presets by their names.
 *
 * @example Which ids have a time that a signed 64-bit column can hold
 * ```ts
 * import { LAYOUTS } from "@global-id/global-id";
 *
 * for (const [name, layout] of Object.entries(LAYOUTS)) console.log(name, layout.totalBits < 64);
 * ```
 */
export const LAYOUTS: Readonly<Record<LayoutName, IdLayout>> = {
  default: DEFAULT_LAYOUT,
  wide: WIDE_LAYOUT,
  dense: DENSE_LAYOUT,
  number: NUMBER_LAYOUT,
  twitter: TWITTER_LAYOUT,
  discord: DISCORD_LAYOUT,
  sonyflake: SONYFLAKE_LAYOUT,
  instagram: INSTAGRAM_LAYOUT,
};
