import { assertEquals, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { checkCluster, clusterOf, DEFAULT_CLUSTER } from "../../lib/access/cluster.ts";

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

describe("clusterOf", () => {
  it("takes the name that was given, else the store's, else the default", () => {
    assertEquals(clusterOf("given", "store"), "given");
    assertEquals(clusterOf("given", "my db"), "given");
    assertEquals(clusterOf("given", undefined), "given");
    assertEquals(clusterOf(undefined, "store"), "store");
    assertEquals(clusterOf(undefined, undefined), DEFAULT_CLUSTER);
  });

  it("refuses a name that was given and is none", () => {
    assertThrows(
      () => clusterOf(null as unknown as string, undefined),
      TypeError,
      "cluster must be a string: got null",
    );
    assertThrows(() => clusterOf("a b", "store"), RangeError, "cluster must be 1 to 64 printable ASCII characters");
  });

  it("asks for a name where the store's is none", () => {
    for (const name of ["my db", "x".repeat(65), "caf\u00e9"]) {
      const { message } = assertThrows(() => clusterOf(undefined, name), RangeError);
      assertEquals(
        message,
        `cluster must be given, since the store's name is not 1 to 64 printable ASCII characters without spaces: ` +
          `got ${JSON.stringify(name)}`,
      );
    }
  });
});
