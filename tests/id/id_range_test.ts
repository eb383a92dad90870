import { assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { IdRange } from "../../mod.ts";

describe("IdRange", () => {
  it("goes from first to last in steps, and can be gone through again", () => {
    const range = new IdRange(7n, 1024n, 4);
    const expected = [7n, 1031n, 2055n, 3079n];
    assertEquals([...range], expected);
    assertEquals([...range], expected);
    assertEquals(range.last, 3079n);
  });

  it("may be a single id", () => {
    const range = new IdRange(2n ** 64n - 1n, 1n, 1);
    assertEquals([...range], [range.last]);
  });
});
