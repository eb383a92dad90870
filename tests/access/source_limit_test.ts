import { assert, assertEquals, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { SourceAddress } from "../../lib/udp/source_address.ts";
import { SourceLimit } from "../../lib/access/source_limit.ts";
import { SourceTable } from "../../lib/access/source_table.ts";
import { createSourceMemory } from "../../lib/node/source_memory.ts";
import { Random } from "./random.ts";
import { source } from "./sources.ts";

/** The limit of a worker that shares its table with nobody. A tick lasts a second. */
function limitOf(idsPerTick: number, places?: number, prefixBits = 64): SourceLimit {
  const table = new SourceTable(createSourceMemory(places), { idsPerTick, leaseParts: 1, tickMs: 1000 });
  return new SourceLimit(table, { prefixBits, ...(places === undefined ? {} : { places }) });
}

describe("SourceLimit", () => {
  const [a, b] = [source("192.0.2.1"), source("192.0.2.2")];

  it("grants a source its ids, then the rest of them, then none", () => {
    const limit = limitOf(10);
    assertEquals(limit.spend(a, 4, 1), 4);
    assertEquals(limit.spend(a, 4, 1), 4);
    assertEquals(limit.spend(a, 4, 1), 2);
    assertEquals(limit.spend(a, 1, 1), 0);
    assertEquals(limit.spend(a, 2 ** 32 - 1, 1), 0);
    assertEquals(limit.spend(b, 2 ** 32 - 1, 1), 10);
  });

  it("spends nothing for a count of 0", () => {
    const limit = limitOf(1);
    assertEquals(limit.spend(a, 0, 1), 0);
    assertEquals(limit.spend(a, 1, 1), 1);
    assertEquals(limit.spend(a, 0, 1), 0);
  });

  it("grants counts up to 2^31, and takes requests for 2^32 - 1", () => {
    const limit = limitOf(2 ** 31);
    assertEquals(limit.spend(a, 2 ** 31 - 1, 0), 2 ** 31 - 1);
    assertEquals(limit.spend(a, 2 ** 32 - 1, 0), 1);
    assertEquals(limit.spend(a, 1, 0), 0);
    assertEquals(limit.spend(b, 2 ** 32 - 1, 0), 2 ** 31);
  });

  it("grants all ids anew in every later tick, and in an earlier one after the clock was set back", () => {
    const limit = limitOf(3);
    for (const tick of [0, 1, 2, 2 ** 32, 2 ** 32 + 1, 2 ** 40, 2 ** 40 - 2, 9, 10, 0, 2]) {
      assertEquals([limit.spend(a, 2, tick), limit.spend(a, 2, tick), limit.spend(b, 5, tick)], [2, 1, 3], `${tick}`);
      assertEquals(limit.tick, tick);
    }
  });

  it("grants nothing of a tick that ended a moment ago", () => {
    const limit = limitOf(3);
    assertEquals([limit.spend(a, 1, 5), limit.spend(a, 1, 4), limit.spend(b, 1, 4)], [1, 0, 0]);
    assertEquals(limit.spend(b, 9, 5), 3);
  });

  it("counts a network of its prefix as one source", () => {
    for (
      const [prefixBits, last, next] of [
        [64, "2001:db8:0:1:ffff:ffff:ffff:ffff", "2001:db8:0:2::"],
        [56, "2001:db8:0:ff:ffff:ffff:ffff:ffff", "2001:db8:0:100::"],
        [57, "2001:db8:0:7f:ffff:ffff:ffff:ffff", "2001:db8:0:80::"],
        [48, "2001:db8:0:ffff:ffff:ffff:ffff:ffff", "2001:db8:1::"],
        [33, "2001:db8:7fff:ffff:ffff:ffff:ffff:ffff", "2001:db8:8000::"],
        [32, "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", "2001:db9::"],
      ] as const
    ) {
      const limit = limitOf(10, undefined, prefixBits);
      assertEquals(limit.spend(source("2001:db8:0:1::1"), 6, 1), 6);
      assertEquals(limit.spend(source(last), 6, 1), 4, last);
      assertEquals(limit.spend(source(next), 10, 1), 10, next);
      assertEquals(limit.spend(source("2001:db7:ffff:ffff::1"), 10, 1), 10);
    }
  });

  it("counts each IPv4 address as one source, whatever the prefix", () => {
    const limit = limitOf(10, undefined, 32);
    assertEquals([limit.spend(a, 10, 1), limit.spend(b, 10, 1)], [10, 10]);
  });

  it("counts an IPv4 address as one source, on IPv4 and IPv6 sockets alike", () => {
    const limit = limitOf(10);
    assertEquals(limit.spend(source("192.0.2.1"), 6, 1), 6);
    assertEquals(limit.spend(source("::ffff:192.0.2.1"), 6, 1), 4);
    for (let bit = 0; bit < 32; bit++) {
      const other = new SourceAddress();
      other.words.set(a.words);
      other.words[3] ^= 1 << bit;
      assertEquals(limit.spend(other, 10, 1), 10);
    }
  });

  it("tells an IPv4 address from the IPv6 network of the same number", () => {
    const limit = limitOf(10, 8);
    assertEquals(limit.spend(source("192.0.2.1"), 10, 1), 10);
    assertEquals(limit.spend(source("0:0:c000:201::1"), 10, 1), 10);
  });

  const kinds: [string, (i: number) => string][] = [
    ["IPv4 addresses", (i) => `192.0.2.${i}`],
    ["IPv6 networks that differ at the beginning", (i) => `${i}:db8::1`],
    ["IPv6 networks that differ at the end", (i) => `2001:db8:0:${i}::1`],
  ];
  for (const [kind, address] of kinds) {
    it(`has a place for 8 sources in 8 places: ${kind}`, () => {
      const limit = limitOf(10, 8);
      for (let i = 1; i <= 8; i++) {
        assertEquals([limit.spend(source(address(i)), 9, 1), limit.spend(source(address(i)), 9, 1)], [9, 1]);
      }
      assertEquals(limit.spend(source(address(9)), 1, 1), 0); // shares a place whose ids are used up
    });
  }

  it("has a place for nearly all of half as many sources as places, window after window", () => {
    const random = new Random(6);
    const limit = limitOf(2, 2 ** 14);
    const from = new SourceAddress();
    for (let window = 0; window < 10; window++) {
      let short = 0;
      for (let i = 0; i < 2 ** 13; i++) {
        from.words.set([0, 0, 0xffff, random.word()]);
        if (limit.spend(from, 2, window) < 2) short++;
      }
      assert(short < 2 ** 13 / 50, `${short} of ${2 ** 13}`);
    }
  });

  it("never grants a source more than its ids, nor all sources together more than the ids of all places", () => {
    const random = new Random(3);
    for (const places of [8, 16, 64]) {
      const limit = limitOf(5, places);
      for (let window = 0; window < 20; window++) {
        const had = new Map<number, number>();
        for (let i = 0; i < 2000; i++) {
          const last = random.below(random.below(4) === 0 ? 2 ** 32 : 50);
          const from = new SourceAddress();
          from.words.set([0, 0, 0xffff, last]);
          const count = random.below(4);
          const granted = limit.spend(from, count, window);
          assert(granted >= 0 && granted <= count);
          had.set(last, (had.get(last) ?? 0) + granted);
        }
        assert(Math.max(...had.values()) <= 5);
        assert([...had.values()].reduce((sum, ids) => sum + ids) <= 5 * places);
      }
    }
  });

  it("recovers from spoofed senders in the next window", () => {
    const limit = limitOf(5, 64);
    const forged = new SourceAddress();
    for (let window = 0; window < 3; window++) {
      assertEquals(limit.spend(a, 3, window), 3);
      for (let i = 0; i < 10_000; i++) {
        forged.words.set([0x20010db8, i, 0, 1]);
        limit.spend(forged, 5, window);
      }
      assert(limit.spend(a, 3, window) <= 2);
    }
  });

  for (
    const [prefixBits, places, message] of [
      [31, 8, "prefixBits must be an integer from 32 to 64: got 31"],
      [65, 8, "prefixBits must be an integer from 32 to 64: got 65"],
      [56, 4, "places must be a power of 2 from 8 to 131072: got 4"],
      [56, 2 ** 18, "places must be a power of 2 from 8 to 131072: got 262144"],
      [56, 100, "places must be a power of 2 from 8 to 131072: got 100"],
    ] as const
  ) {
    it(`refuses a prefix of ${prefixBits} bits, ${places} places`, () => {
      const table = new SourceTable(createSourceMemory(8), { idsPerTick: 1, leaseParts: 1, tickMs: 1000 });
      assertThrows(() => new SourceLimit(table, { prefixBits, places }), RangeError, message);
    });
  }
});
