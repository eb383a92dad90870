import { assert, assertEquals, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { type AttemptLog, MAX_ATTEMPTS, MemoryAttemptLog } from "../../lib/reservation/attempt_log.ts";
import { NodePool } from "../../lib/node/node_pool.ts";
import { SONYFLAKE_LAYOUT } from "../../mod.ts";
import { TempDir } from "../../testing/temp_dir.ts";
import { PoolError } from "../../lib/node/pool_header.ts";
import { RawPool } from "./raw_pool.ts";
import { makePool } from "./pools.ts";

const attempt = (n: number) => `attempt-${n}`.padEnd(32, "x");
const notedIn = (log: AttemptLog, count: number) =>
  Array.from({ length: count }, (_, n) => n).filter((n) => log.has(attempt(n)));

/** Checks a log that is new, or has attempts of earlier cases that are none of these. */
function check(log: AttemptLog): void {
  for (let n = 0; n < 5; n++) log.note(attempt(n));
  assertEquals(notedIn(log, 9), [0, 1, 2, 3, 4]);
  log.forget(attempt(1));
  log.forget(attempt(8));
  assertEquals(notedIn(log, 9), [0, 2, 3, 4]);
  assert(!log.has(""), "a record without an attempt is none of these");
  log.settle(attempt(3));
  assertEquals(notedIn(log, 9), [3, 4]);
  log.settle(attempt(0)); // the answer to an earlier one comes late
  assertEquals(notedIn(log, 9), [3, 4]);
  log.note(attempt(5));
  log.keepOnly(attempt(4));
  assertEquals([notedIn(log, 9), log.isFull], [[4], false]);
  for (let n = 9; n < 9 + MAX_ATTEMPTS - 1; n++) {
    assert(!log.isFull);
    log.note(attempt(n));
  }
  assert(log.isFull);
  assertEquals(notedIn(log, 200).length, MAX_ATTEMPTS);
  log.keepOnly(attempt(77));
  assertEquals([notedIn(log, 200), log.isFull], [[77], false]);
}

describe("MemoryAttemptLog", () => {
  it("notes, forgets and settles attempts", () => check(new MemoryAttemptLog()));
});

describe("NodePool.attempts", () => {
  it("notes, forgets and settles attempts, round and round in its memory", async () => {
    await using temp = await TempDir.make();
    using pool = makePool(`${temp.path}/pool`, { attempt: "first" });
    assert(pool.attempts.has("first"));
    for (let round = 0; round < 5; round++) check(pool.attempts);
  });

  it("is the same for all processes that have the pool", async () => {
    await using temp = await TempDir.make();
    using pool = makePool(`${temp.path}/pool`);
    using joined = NodePool.join(pool.path, SONYFLAKE_LAYOUT);
    joined.attempts.note(attempt(1));
    assertEquals([pool.attempts.has("at-1"), pool.attempts.has(attempt(1))], [true, true]);
    pool.attempts.settle(attempt(1));
    assertEquals([joined.attempts.has("at-1"), joined.attempts.has(attempt(1))], [false, true]);
  });

  it("takes and tells nothing once the pool is disposed of: an answer of the store's may come later", async () => {
    await using temp = await TempDir.make();
    const pool = makePool(`${temp.path}/pool`);
    pool[Symbol.dispose]();
    pool.attempts.settle("at-1");
    assertEquals([pool.attempts.has("at-1"), pool.attempts.isFull], [false, true]);
  });
});

describe("PoolAttempts", () => {
  it("throws if the numbers are none that attempts can have, and looks at none of them", async () => {
    await using temp = await TempDir.make();
    using pool = makePool(`${temp.path}/pool`);
    using memory = new RawPool(`${temp.path}/pool`);
    const wrong = [[0, 2 ** 50], [NaN, 1], [0, NaN], [-5, 1], [3, 2], [0, 1.5], [0, MAX_ATTEMPTS + 1], [0, Infinity]];
    for (const numbers of wrong) {
      memory.noted.set(numbers);
      assertThrows(() => pool.attempts.has(attempt(1)), PoolError, "the pool is damaged: it has the attempts from ");
      assertThrows(() => pool.attempts.note(attempt(1)), PoolError);
    }
    memory.noted.set([0, 1]);
    pool.attempts.note(attempt(1)); // the mutex is free
    assert(pool.attempts.has(attempt(1)));
  });
});
