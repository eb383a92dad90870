import { assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { COUNT, createAccessCounts } from "../../lib/access/access_counts.ts";
import { COUNT_WORDS } from "../../lib/node/pool_memory.ts";

describe("COUNT", () => {
  it("has the order of the pool's format, in which a new count goes behind the last one", () => {
    assertEquals(Object.keys(COUNT), [
      ...["answered", "ids", "noRequest", "refused", "unsigned", "replayed", "stale", "limited", "shed", "overflowed"],
    ]);
    assertEquals(Object.values(COUNT), [...Object.keys(COUNT).keys()]);
  });
});

describe("createAccessCounts", () => {
  it("makes counts of 0, as many as a worker has words in the pool", () => {
    assertEquals([...createAccessCounts()], Array(COUNT_WORDS).fill(0));
  });
});
