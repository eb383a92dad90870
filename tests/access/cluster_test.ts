import { assertEquals, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { checkCluster, DEFAULT_CLUSTER } from "../../lib/access/cluster.ts";

describe("checkCluster", () => {
  it("accepts 1 to 64 printable ASCII characters", () => {
    for (const name of [DEFAULT_CLUSTER, "a", "!", "~", "eu-1/orders", "x".repeat(64)]) {
      assertEquals(checkCluster(name), name);
    }
  });

  for (const name of ["", "x".repeat(65), "a b", " a", "a\n", "\x7f", "caf\u00e9", "\u200b", "a\0"]) {
    it(`refuses ${JSON.stringify(name)}`, () => {
      assertThrows(() => checkCluster(name), RangeError, "cluster must be 1 to 64 printable ASCII characters without");
    });
  }

  it("refuses what is no string", () => {
    for (const name of [undefined, null, 7]) {
      assertThrows(() => checkCluster(name), TypeError, "cluster must be a string: got");
    }
  });
});
