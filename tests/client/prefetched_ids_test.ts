import { assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { PrefetchedIds } from "../../lib/client/_prefetched_ids.ts";
import type { RangeRequester } from "../../lib/client/_range_requester.ts";
import { HeldTime, turn } from "../held_time.ts";

/** A requester that grants at once what is asked for, each range right above the one before. */
class GrantingRequester {
  requests = 0;
  #next = 0n;

  begin(count: number, resolve: (response: { first: bigint; step: bigint; granted: number }) => void): object {
    this.requests++;
    const first = this.#next;
    this.#next += BigInt(count);
    queueMicrotask(() => resolve({ first, step: 1n, granted: count }));
    return {};
  }

  giveUp(): void {}
}

function setUp() {
  const requester = new GrantingRequester();
  const options = { prefetch: 10, maxAgeMs: 1000, timeoutMs: 5000 };
  const ids = new PrefetchedIds(requester as unknown as RangeRequester, options);
  const next = async () => {
    if (ids.size > 0) return ids.take();
    const id = new Promise<bigint>((resolve, reject) => ids.wait(resolve, reject));
    await turn();
    return await id;
  };
  return { requester, ids, next };
}

describe("PrefetchedIds", () => {
  it("drops ids that are too old, and fetches others", async () => {
    using time = new HeldTime();
    const { requester, ids, next } = setUp();
    assertEquals([await next(), await next(), ids.size], [0n, 1n, 8]);
    time.ms = 999;
    await time.fire(); // too early: it looks again when they are too old
    assertEquals(ids.size, 8);
    time.ms = 1000;
    await time.fire();
    assertEquals([ids.size, await next(), requester.requests], [0, 10n, 2]);
  });

  it("counts the age from the last range that came, with one timer for many ranges", async () => {
    using time = new HeldTime();
    const { ids, next } = setUp();
    for (let i = 0; i < 95; i++) await next();
    assertEquals(time.delays, [1000]);
    time.ms = 400;
    for (let i = 0; i < 10; i++) await next();
    time.ms = 1000;
    await time.fire();
    assertEquals([ids.size, time.delays], [5, [1000, 400]]);
    time.ms = 1400;
    await time.fire();
    assertEquals([ids.size, time.count], [0, 0]);
  });

  it("leaves no timer behind when it is closed", async () => {
    using time = new HeldTime();
    const { ids, next } = setUp();
    await next();
    ids.close();
    assertEquals([ids.size, time.count], [0, 0]);
  });
});
