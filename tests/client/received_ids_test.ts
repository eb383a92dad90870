import { assert, assertEquals, assertLess } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import fc from "fast-check";
import { ReceivedIds } from "../../lib/client/_received_ids.ts";
import { isFull, SEED } from "../settings.ts";
import { endOnFailure } from "../shrinking.ts";

/** A range as short text: `range("100+8*3")` is 100, 108, 116. */
function range(text: string) {
  const [first, step, granted] = text.split(/[+*]/);
  return { first: BigInt(first), step: BigInt(step), granted: Number(granted) };
}

/** Adds ranges, and returns which of them it refuses. */
function refused(...ranges: string[]): string[] {
  const ids = new ReceivedIds();
  return ranges.filter((text) => !ids.add(range(text)));
}

describe("ReceivedIds", () => {
  it("refuses an id that came before, and a range that has one", () => {
    assertEquals(refused("100+8*3", "108+8*1"), ["108+8*1"]);
    assertEquals(refused("100+8*3", "92+8*2", "124+8*1"), ["92+8*2"]);
    assertEquals(refused("100+8*1", "116+8*1", "84+8*9"), ["84+8*9"]);
    assertEquals(refused("100+8*3", "100+8*3", "124+8*3", "116+8*2"), ["100+8*3", "116+8*2"]);
  });

  it("takes no id of a range that it refuses", () => {
    assertEquals(refused("100+8*3", "116+8*3", "124+8*1"), ["116+8*3"]);
  });

  it("takes the ids of many servers and workers, in any order", () => {
    assertEquals(refused("100+8*3", "101+8*3", "132+8*1", "124+8*1", "92+8*1", "0+8*10"), []);
    assertEquals(refused("1024+2048*9", "2048+2048*9", "0+4096*1", "1025+1024*50"), []);
  });

  it("refuses an id that comes with another step", () => {
    assertEquals(refused("0+4*100", "2+6*3", "8+12*1"), ["2+6*3", "8+12*1"]); // 8
    assertEquals(refused("0+4*100", "2+6*1", "402+6*3"), []);
    assertEquals(refused("7+0*1", "0+1*7", "7+1*1", "1+3*9"), ["7+1*1", "1+3*9"]);
    assertEquals(refused("18446744073709551615+0*1", "18446744073709551615+0*1"), ["18446744073709551615+0*1"]);
    assertEquals(refused("5+9223372036854775809*2", "3+9223372036854775811*2"), ["3+9223372036854775811*2"]);
  });

  it(`knows exactly the ids that it got, from seed ${SEED}`, () => {
    const ranges = fc.array(
      fc.record({ first: fc.bigInt(0n, 60n), step: fc.bigInt(1n, 6n), granted: fc.integer({ min: 1, max: 5 }) }),
      { maxLength: 30 },
    );
    const property = fc.property(ranges, (ranges) => {
      const [ids, known] = [new ReceivedIds(), new Set<bigint>()];
      for (const { first, step, granted } of ranges) {
        const all = Array.from({ length: granted }, (_, i) => first + step * BigInt(i));
        const isNew = all.every((id) => !known.has(id));
        assertEquals(ids.add({ first, step, granted }), isNew);
        if (isNew) { for (const id of all) known.add(id); }
      }
    });
    fc.assert(property, { seed: SEED, numRuns: isFull ? 20_000 : 1000, endOnFailure });
  });

  it("remembers one range for all ids that a server grants one after the other", () => {
    const ids = new ReceivedIds();
    for (let i = 0; i < 10_000; i++) assert(ids.add(range(`${i * 1024}+1024*1`)));
    for (let i = 20_000; i > 10_000; i--) assert(ids.add(range(`${i * 1024}+1024*1`)));
    assert(!ids.add(range("0+1024*1")));
    assertLess(ids.size, 20);
  });

  it("remembers the highest of many ranges, and no more than it has room for", () => {
    const ids = new ReceivedIds();
    for (let i = 0; i < 100_000; i++) assert(ids.add(range(`${i * 2048}+1024*1`)));
    assertLess(ids.size, 4097);
    for (let i = 98_500; i < 100_000; i++) assert(!ids.add(range(`${i * 2048}+1024*1`)));
  });

  it("has no more room for what a server makes up, taken or refused", () => {
    const ids = new ReceivedIds();
    for (let i = 1; i < 2000; i++) {
      ids.add(range(`${i}+${1_000_003 + i}*1`));
      ids.add(range(`0+${2_000_003 + i}*2`));
      assertLess(ids.size, 4097);
    }
  });
});
