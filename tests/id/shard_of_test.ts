import { assertEquals, assertGreater, assertLess, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { LAYOUTS, shardOf } from "../../mod.ts";

/** What SplitMix64 adds to its state before each number. */
const GAMMA = 0x9e3779b97f4a7c15n;

/**
 * The first numbers of SplitMix64 with the seed 1234567
 * (https://rosettacode.org/wiki/Pseudo-random_numbers/Splitmix64).
 */
const SPLITMIX64 = [
  6457827717110365317n,
  3203168211198807973n,
  9817491932198370423n,
  4593380528125082431n,
  16408922859458223821n,
];

describe("shardOf", () => {
  it("is the remainder of what SplitMix64 makes of the id", () => {
    for (const [i, mixed] of SPLITMIX64.entries()) {
      const id = BigInt.asUintN(64, 1234567n + BigInt(i + 1) * GAMMA);
      for (const count of [1, 2, 3, 10, 16, 1000, 1024, 2 ** 31, 2 ** 32 - 1, 2 ** 32]) {
        assertEquals(shardOf(id, count), Number(mixed % BigInt(count)));
      }
    }
  });

  it("knows ids from 0 to 2^64 - 1", () => {
    assertEquals(shardOf(0n, 16), 0);
    assertLess(shardOf(2n ** 64n - 1n, 16), 16);
    assertThrows(() => shardOf(2n ** 64n, 16), RangeError, "id must be from 0 to");
    assertThrows(() => shardOf(-1n, 16), RangeError, "id must be from 0 to");
    assertThrows(() => shardOf(5 as unknown as bigint, 16), TypeError, "id must be a bigint: got 5");
  });

  for (const count of [0, -1, 1.5, 2 ** 32 + 1, NaN]) {
    it(`refuses ${count} shards`, () => {
      assertThrows(() => shardOf(1n, count), RangeError, "shardCount must be an integer from 1 to 4294967296");
    });
  }

  for (const [name, layout] of Object.entries(LAYOUTS)) {
    for (const shardCount of [7, 16, 1024]) {
      it(`spreads the ids of one node evenly over ${shardCount} shards (layout ${name})`, () => {
        const perShard = 64;
        const counts = new Uint32Array(shardCount);
        const perTick = Math.min(64, layout.maxSequence + 1); // as a node that is not busy has them
        for (let i = 0; i < shardCount * perShard; i++) {
          counts[
            shardOf(layout.pack({ tick: 1e6 + Math.floor(i / perTick), sequence: i % perTick, nodeId: 0 }), shardCount)
          ]++;
        }
        const chiSquare = counts.reduce((sum, n) => sum + (n - perShard) ** 2 / perShard, 0);
        const freedom = shardCount - 1;
        // Within five standard deviations of what chance has; the ids are always the same, so this never fails by
        // chance.
        assertLess(Math.abs(chiSquare - freedom), 5 * Math.sqrt(2 * freedom));
        assertGreater(counts.reduce((a, b) => Math.min(a, b)), 0);
      });
    }
  }
});
