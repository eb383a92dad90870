/**
 * The cost of an id, from this generator and from those of npm, each beside the basis of its ids' uniqueness:
 *
 *     deno task bench:peers
 *
 * An iteration is 1000 ids, taken one by one, so that its µs are the ns of an id; on a machine with other work, p75 is
 * steadier than avg. An iteration begins with a fresh millisecond of the clock, and does not measure the wait for that.
 * nodejs-snowflake has the fewest ids in a millisecond, 1024, so that an iteration never runs out of them. (Out of ids,
 * nodejs-snowflake waits in a busy loop, flake-idgen and global-id throw, and @sapphire/snowflake repeats ids.)
 * `deno task compare:uniqueness` measures which of them repeat ids after which faults.
 *
 * Every generator gives ids in its own form: bigints, text, bytes or objects.
 */
import { createId } from "@paralleldrive/cuid2";
import { Snowflake as SapphireSnowflake } from "@sapphire/snowflake";
import { ObjectId } from "bson";
import FlakeId from "flake-idgen";
import { nanoid } from "nanoid";
import { Snowflake as NodejsSnowflake } from "nodejs-snowflake";
import { monotonicFactory } from "ulid";
import { v7 } from "uuid";
import { IdGenerator, IdLayout, MemoryReservationStore, TWITTER_LAYOUT } from "../mod.ts";
import { subjectNamed } from "./uniqueness/subjects.ts";

/** Ids an iteration. */
const COUNT = 1000;
/** Deno's own warm-up is a few iterations, and V8 compiles for longer. */
const WARMUPS = 300;
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

// Twitter's layout is that of the others, with 4096 ids a millisecond. The one of simple_bench.ts costs the same.
const plain = new IdGenerator({ nodeId, layout: TWITTER_LAYOUT });
measure(named("global-id, plain"), () => {
  for (let i = 0; i < COUNT; i++) kept.id = plain.nextId();
}, { baseline: true });
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
const flake = new FlakeId({ id: nodeId, epoch: epochMs });
measure(named("flake-idgen"), () => {
  for (let i = 0; i < COUNT; i++) kept.id = flake.next();
});
const nodejs = new NodejsSnowflake({ instance_id: nodeId, custom_epoch: epochMs });
measure(named("nodejs-snowflake"), () => {
  for (let i = 0; i < COUNT; i++) kept.id = nodejs.getUniqueID();
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
measure(named("@paralleldrive/cuid2"), () => {
  for (let i = 0; i < COUNT; i++) kept.id = createId();
}, { warmups: 3, n: 30 });

/** The name of one of the generators that are compared, and the basis of its ids' uniqueness. */
function named(name: string): string {
  return `${name}: ${subjectNamed(name).guarantee}`;
}

/**
 * @param take Takes the ids. Each generator has a loop of its own: V8 compiles a shared one for all of them at once.
 * @param options Whether the others are compared with it, and how many iterations there are.
 */
function measure(name: string, take: () => void, { baseline = false, warmups = WARMUPS, n = 300 } = {}): void {
  Deno.bench(name, { group: "1000 ids", baseline, n }, async (b) => {
    for (; warmups > 0; warmups--) {
      await freshMillisecond();
      take();
    }
    await freshMillisecond();
    b.start();
    take();
    b.end();
  });
}

async function freshMillisecond(): Promise<void> {
  // The event loop turns, so that the reservation is renewed.
  await new Promise((resolve) => setTimeout(resolve, 0));
  const ms = Date.now();
  while (Date.now() === ms);
}
