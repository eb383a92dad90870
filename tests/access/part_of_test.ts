import { assert, assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { partOf } from "../../lib/access/part_of.ts";

describe("partOf", () => {
  it("deals out all ids and no more, in parts that differ by one at most", () => {
    for (let workers = 1; workers < 70; workers++) {
      for (const ids of [0, 1, 2, 3, 81, 256, 1310, 131_072, 2 ** 31]) {
        const parts = Array.from({ length: workers }, (_, worker) => partOf(ids, worker, workers));
        assertEquals(parts.reduce((sum, part) => sum + part), ids);
        assert(Math.max(...parts) - Math.min(...parts) <= 1);
      }
    }
  });
});
