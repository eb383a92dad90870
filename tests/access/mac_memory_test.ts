import { assert, assertEquals, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { MacMemory } from "../../lib/access/mac_memory.ts";
import { Random } from "./random.ts";

describe("MacMemory", () => {
  it("has at least as many of the latest requests as its capacity, and at most twice as many", () => {
    for (const capacity of [1, 2, 4, 64, 1024]) {
      const memory = new MacMemory(capacity);
      const random = new Random(capacity);
      const macs = Array.from({ length: 5 * capacity }, () => [random.word(), random.word()]);
      macs.forEach(([high, low], i) => {
        assert(!memory.has(high, low));
        memory.add(high, low, i);
        macs.slice(Math.max(i - capacity + 1, 0), i + 1).forEach(([high, low]) => assert(memory.has(high, low)));
      });
      const known = macs.filter(([high, low]) => memory.has(high, low)).length;
      assert(known >= capacity && known <= 2 * capacity, `${known} of ${capacity}`);
    }
  });

  it("tells the highest time of those that it has forgotten, which never falls", () => {
    const memory = new MacMemory(2);
    assertEquals(memory.forgottenTimeMs, -Infinity);
    [9, 5, 3, 4].forEach((timeMs, i) => memory.add(i, 0, timeMs));
    assertEquals([memory.has(0, 0), memory.forgottenTimeMs], [false, 9]);
    [1, 1, 1, 1].forEach((timeMs, i) => memory.add(10 + i, 0, timeMs));
    assertEquals(memory.forgottenTimeMs, 9);
  });

  it("keeps apart requests whose search begins at one place", () => {
    const memory = new MacMemory(64);
    for (let i = 0; i < 63; i++) memory.add(5, 2 * i, 0);
    for (let i = 0; i < 63; i++) assert(memory.has(5, 2 * i));
    assert(!memory.has(5, 2 * 63));
  });

  it("refuses a wrong capacity", () => {
    assertThrows(() => new MacMemory(0), RangeError, "capacity must be an integer from 1 to 33554432: got 0");
    assertThrows(() => new MacMemory(1000), RangeError, "capacity must be a power of 2: got 1000");
  });
});
