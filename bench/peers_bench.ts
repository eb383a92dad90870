/**
 * What an id costs, from this generator and from those of npm, each beside what the uniqueness of its ids rests on:
 *
 *     deno bench -P=bench --allow-read bench/peers_bench.ts
 *
 * (To read: nodejs-snowflake loads its WebAssembly from Deno's cache. Without, it is left out.)
 *
 * An iteration is 1000 ids, taken one by one, so that its µs are the ns of an id; on a machine with other work, p75 is steadier
 * than avg. It begins with a fresh millisecond of the clock, and the wait for that is not measured: the fewest ids in a
 * millisecond has nodejs-snowflake, with 1024, so that this is what ids cost, not what it costs to be out of them. That each
 * has in its own way: nodejs-snowflake, snowflake-id and @akashrajpurohit/snowflake-id wait in a busy loop,
 * @skorotkiewicz/snowflake-id sleeps, flake-idgen and global-id throw, simple-flakeid goes ahead of the clock, and
 * @sapphire/snowflake and @theinternetfolks/snowflake repeat ids. Which repeat ids after which faults is measured by
 * `deno task compare:uniqueness`.
 *
 * Every generator gives ids in its own form: bigints, decimal digits, bytes, objects, or promises of them, which are awaited.
 */
import { SnowflakeId as AkashSnowflake } from "@akashrajpurohit/snowflake-id";
import { Snowflake as SapphireSnowflake } from "@sapphire/snowflake";
import { Snowflake as SkorotkiewiczSnowflake } from "@skorotkiewicz/snowflake-id";
import { Snowflake as InternetFolksSnowflake } from "@theinternetfolks/snowflake";
import { ObjectId } from "bson";
import FlakeId from "flake-idgen";
import { nanoid } from "nanoid";
import { SnowflakeIdv1 } from "simple-flakeid";
import snowflakeId from "snowflake-id";
import { monotonicFactory } from "ulid";
import { v7 } from "uuid";
import { IdGenerator, IdLayout, MemoryReservationStore, TWITTER_LAYOUT } from "../mod.ts";
import { SUBJECTS } from "./compare_subjects.ts";

/** Ids an iteration. */
const COUNT = 1000;
/** Where ids go: V8 would leave out the making of an id that nobody keeps. */
const kept: { id?: unknown } = {};

const nodeId = 1;
const epochMs = Date.UTC(2020, 0, 1);
const number = new BigUint64Array(1);
const words = new Uint32Array(number.buffer);

measure("floor: Date.now() and a bigint", () => {
  for (let i = 0; i < COUNT; i++) {
    words[0] = Date.now();
    kept.id = number[0];
  }
});

// The layout of the others, with 4096 ids a millisecond. That of simple_bench.ts, which cannot be exhausted, costs the same.
const plain = new IdGenerator({ nodeId, layout: TWITTER_LAYOUT });
measure(named("global-id, plain"), () => {
  for (let i = 0; i < COUNT; i++) kept.id = plain.nextId();
}, true);
const vast = new IdLayout({ timeBits: 33, sequenceBits: 31, nodeBits: 0, tickMs: 1, epochMs: Date.now() });
const inexhaustible = new IdGenerator({ nodeId: 0, layout: vast });
measure("global-id, plain, 2^31 ids a ms: the same", () => {
  for (let i = 0; i < COUNT; i++) kept.id = inexhaustible.nextId();
});
// The store is not on an id's path: it does not matter which it is.
const store = new MemoryReservationStore();
const reserved = await IdGenerator.open({ store, nodeId, layout: TWITTER_LAYOUT });
measure(named("global-id, with a store"), () => {
  for (let i = 0; i < COUNT; i++) kept.id = reserved.nextId();
});

const sapphire = new SapphireSnowflake(epochMs);
sapphire.workerId = BigInt(nodeId);
measure(named("@sapphire/snowflake"), () => {
  for (let i = 0; i < COUNT; i++) kept.id = sapphire.generate();
});

const snowflake = new snowflakeId.default({ mid: nodeId, offset: epochMs });
measure(named("snowflake-id"), () => {
  for (let i = 0; i < COUNT; i++) kept.id = snowflake.generate();
});

const flake = new FlakeId({ id: nodeId, epoch: epochMs });
measure(named("flake-idgen"), () => {
  for (let i = 0; i < COUNT; i++) kept.id = flake.next();
});

if ((await Deno.permissions.query({ name: "read" })).state === "granted") {
  const { Snowflake } = await import("nodejs-snowflake");
  const nodejs = new Snowflake({ instance_id: nodeId, custom_epoch: epochMs });
  measure(named("nodejs-snowflake"), () => {
    for (let i = 0; i < COUNT; i++) kept.id = nodejs.getUniqueID();
  });
}

const shard = { shard_id: nodeId };
measure(named("@theinternetfolks/snowflake"), () => {
  for (let i = 0; i < COUNT; i++) kept.id = InternetFolksSnowflake.generate(shard);
});

// Its default of 59 ids a millisecond would not do.
const bits = { workerIdBitLength: 10, seqBitLength: 12, maxSeqNumber: 2 ** 12 - 1 };
const simple = new SnowflakeIdv1({ workerId: nodeId, baseTime: epochMs, ...bits });
measure(named("simple-flakeid"), () => {
  for (let i = 0; i < COUNT; i++) kept.id = simple.NextBigId();
});

const akash = AkashSnowflake({ workerId: nodeId, epoch: epochMs });
measure(named("@akashrajpurohit/snowflake-id"), () => {
  for (let i = 0; i < COUNT; i++) kept.id = akash.generate();
});

const skorotkiewicz = new SkorotkiewiczSnowflake(nodeId);
measure(named("@skorotkiewicz/snowflake-id"), async () => {
  for (let i = 0; i < COUNT; i++) kept.id = await skorotkiewicz.generate();
});

measure(named("bson ObjectId"), () => {
  for (let i = 0; i < COUNT; i++) kept.id = new ObjectId();
});
const ulid = monotonicFactory();
measure(named("ulid, monotonicFactory"), () => {
  for (let i = 0; i < COUNT; i++) kept.id = ulid();
});
measure(named("uuid, v7"), () => {
  for (let i = 0; i < COUNT; i++) kept.id = v7();
});
measure("crypto.randomUUID(): 122 random bits", () => {
  for (let i = 0; i < COUNT; i++) kept.id = crypto.randomUUID();
});
measure(named("nanoid"), () => {
  for (let i = 0; i < COUNT; i++) kept.id = nanoid();
});

/** The name of one of the generators that are compared, and what the uniqueness of its ids rests on. */
function named(name: string): string {
  const subject = SUBJECTS.find((subject) => subject.name === name)!;
  return `${name}: ${subject.guarantee}`;
}

/** @param take Takes the ids. Each generator has a loop of its own: V8 compiles one that they share for all of them at once. */
function measure(name: string, take: () => void | Promise<void>, baseline = false): void {
  // Deno's own warm-up is a few iterations, and V8 compiles for longer.
  let warmups = 300;
  Deno.bench(name, { group: "1000 ids", baseline, n: 300 }, async (b) => {
    for (; warmups > 0; warmups--) {
      await freshMillisecond();
      await take();
    }
    await freshMillisecond();
    b.start();
    await take();
    b.end();
  });
}

async function freshMillisecond(): Promise<void> {
  // The event loop turns, so that the reservation is renewed.
  await new Promise((resolve) => setTimeout(resolve, 0));
  const ms = Date.now();
  while (Date.now() === ms);
}
