import { assert, assertEquals, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { SourceLimit } from "../../lib/access/source_limit.ts";
import { SourceTable } from "../../lib/access/source_table.ts";
import { NodePool } from "../../lib/node/node_pool.ts";
import { createSourceMemory, type SourceMemory } from "../../lib/node/source_memory.ts";
import { SourceAddress } from "../../lib/udp/source_address.ts";
import { SONYFLAKE_LAYOUT } from "../../mod.ts";
import { TempDir } from "../../testing/temp_dir.ts";
import { makePool } from "../node/pools.ts";
import { SEED } from "../settings.ts";
import { Random } from "./random.ts";

const SEEDS = [SEED, SEED + 1, SEED + 2];

describe("SourceTable", () => {
  it("leases a part of what is left, or as many as are asked for, until there are none", () => {
    const table = new SourceTable(createSourceMemory(8), { idsPerTick: 100, leaseParts: 10, tickMs: 1000 });
    assertEquals(table.maxLease, 10);
    assertEquals([table.lease(1, 2, 1, 5), table.lease(1, 2, 1, 5), table.lease(1, 2, 50, 5)], [10, 9, 50]);
    assertEquals([table.lease(1, 2, 1, 5), table.lease(1, 2, 100, 5), table.lease(1, 2, 1, 5)], [3, 28, 0]);
    assertEquals([table.lease(1, 3, 1, 5), table.lease(1, 2, 0, 6), table.lease(1, 2, 1, 6)], [10, 10, 9]);
  });

  it("takes back what was leased in the same tick", () => {
    const table = new SourceTable(createSourceMemory(8), { idsPerTick: 10, leaseParts: 1, tickMs: 1000 });
    assertEquals(table.lease(1, 2, 10, 5), 10);
    table.release(1, 2, 4, 5);
    assertEquals(table.lease(1, 2, 10, 5), 4);
    assertEquals(table.lease(1, 2, 1, 6), 10);
    table.release(1, 2, 4, 5);
    assertEquals(table.lease(1, 2, 1, 6), 0);
  });

  it("goes back with a clock that was set back by more than a second, and no less", () => {
    for (const [tickMs, ticks] of [[1000, 1], [60_000, 1], [300, 4], [1, 1000]]) {
      const table = new SourceTable(createSourceMemory(8), { idsPerTick: 10, leaseParts: 1, tickMs });
      assertEquals(table.lease(1, 2, 10, 1e9), 10);
      assertEquals([table.lease(1, 2, 10, 1e9 - ticks), table.tick], [0, 1e9]);
      assertEquals([table.lease(1, 2, 10, 1e9 - ticks - 1), table.tick], [10, 1e9 - ticks - 1]);
    }
  });

  it("goes on whatever a broken worker has made of its tick", () => {
    const memory = createSourceMemory(8);
    const table = new SourceTable(memory, { idsPerTick: 10, leaseParts: 1, tickMs: 1000 });
    let tick = 5;
    for (const wrong of [NaN, Infinity, -Infinity, 2 ** 53, -1e300]) {
      memory.tick[0] = wrong;
      assertEquals([table.lease(1, 2, 10, ++tick), table.lease(1, 2, 10, tick)], [10, 0]);
    }
  });

  it("gives nothing more to a source that had more from a server with a higher limit", () => {
    const memory = createSourceMemory(8);
    const high = new SourceTable(memory, { idsPerTick: 100, leaseParts: 1, tickMs: 1000 });
    const low = new SourceTable(memory, { idsPerTick: 10, leaseParts: 1, tickMs: 1000 });
    assertEquals([high.lease(1, 2, 1, 5), low.lease(1, 2, 1, 5), low.lease(1, 2, 1, 6)], [100, 0, 10]);
  });

  it("refuses numbers out of range", () => {
    const memory = createSourceMemory(8);
    for (const [idsPerTick, leaseParts] of [[0, 1], [2 ** 31 + 1, 1], [1.5, 1], [1, 0]]) {
      assertThrows(() => new SourceTable(memory, { idsPerTick, leaseParts, tickMs: 1000 }), RangeError);
    }
  });
});

describe("SourceTable, when a worker is killed between any two of its stores", () => {
  const L = 10;
  /** What a worker does that is killed, and how many ids of which source that takes. */
  const changes: [what: string, source: number, count: number, change: (table: SourceTable) => void][] = [
    ["leases more", 1, 3, (table) => table.lease(0, 1, 3, 5)],
    ["leases all", 2, L, (table) => table.lease(0, 2, 2 ** 32 - 1, 5)],
    ["takes a place", 3, 2, (table) => table.lease(0, 3, 2, 5)],
    ["begins a tick", 1, 2, (table) => table.lease(0, 1, 2, 6)],
    ["begins a tick with a new source", 3, 2, (table) => table.lease(0, 3, 2, 6)],
    ["gives ids back", 1, -1, (table) => table.release(0, 1, 1, 5)],
  ];
  for (const [what, changed, count, change] of changes) {
    it(`leases a source no more than its ids, and no fewer than it can have, when the worker ${what}`, () => {
      const memory = createSourceMemory(8);
      const options = { idsPerTick: L, leaseParts: 1000, tickMs: 1000 };
      const table = new SourceTable(memory, options);
      for (let source = 10; source < 18; source++) table.lease(0, source, 9, 4); // all places have ids of an earlier tick
      table.lease(0, 1, 4, 5);
      table.lease(0, 2, 6, 5);
      const states: SourceMemory[] = [];
      change(new SourceTable(watch(memory, () => states.push(copyOf(memory))), options));
      assert(states.length > 0);
      for (const state of states) {
        const tick = state.tick[0];
        for (const source of [1, 2, 3]) {
          const left = tick === 5 ? L - [0, 4, 6, 0][source] : L;
          const leftAfter = source === changed ? Math.max(left - count, 0) : left;
          const leased = new SourceTable(copyOf(state), options).lease(0, source, 2 ** 32 - 1, tick);
          assert(leased <= Math.max(left, leftAfter) && leased >= Math.min(left, leftAfter), `${leased} for ${source}`);
        }
      }
    });
  }

  /** Memory of which each store is noted. */
  function watch(memory: SourceMemory, onStore: () => void): SourceMemory {
    const proxy = <A extends object>(array: A) =>
      new Proxy(array, {
        get: (array, key) => Reflect.get(array, key, array),
        set: (array, key, value) => {
          Reflect.set(array, key, value, array);
          onStore();
          return true;
        },
      });
    return { ...memory, tick: proxy(memory.tick), places: proxy(memory.places) };
  }

  function copyOf(memory: SourceMemory): SourceMemory {
    return { ...memory, tick: memory.tick.slice(), places: memory.places.slice() };
  }
});

describe("SourceLimit of several workers with one pool", () => {
  const WORKERS = 4;
  const L = 200;

  /** The limits of the workers, each with a mapping of its own. */
  async function withWorkers(test: (limits: SourceLimit[]) => void, places?: number) {
    await using temp = await TempDir.make();
    using pool = makePool(`${temp.path}/pool`);
    using mappings = new DisposableStack();
    const limits = Array.from({ length: WORKERS }, () => {
      const { sources } = mappings.use(NodePool.join(pool.path, SONYFLAKE_LAYOUT));
      const table = new SourceTable(sources, { idsPerTick: L, leaseParts: 8 * WORKERS, tickMs: 10 });
      return new SourceLimit(table, { prefixBits: 56, ...(places === undefined ? {} : { places }) });
    });
    test(limits);
  }

  function sourceOf(number: number): SourceAddress {
    const source = new SourceAddress();
    source.words.set([0x20010db8, number << 8, 0, number]);
    return source;
  }

  it("grant a source exactly its ids if it asks one of them", async () => {
    await withWorkers(([first, second]) => {
      let granted = 0;
      while (first.spend(sourceOf(1), 1, 5) === 1) granted++;
      assertEquals([granted, second.spend(sourceOf(1), 1, 5), second.spend(sourceOf(2), L, 5)], [L, 0, L]);
    });
  });

  it("grant a source at least 7/8 of its ids, and never more than all, however it asks", async () => {
    await withWorkers((limits) => {
      const random = new Random(11);
      for (let tick = 1; tick < 50; tick++) {
        let granted = 0;
        for (let i = 0; i < 50 * random.below(2); i++) {
          granted += limits[random.below(WORKERS)].spend(sourceOf(1), 1, tick);
        }
        while (limits[0].spend(sourceOf(1), 1, tick) === 1) granted++;
        assert(granted >= 7 / 8 * L && granted <= L, `${granted}`);
      }
    });
  });

  for (const seed of SEEDS) {
    for (const places of [8, undefined]) {
      it(`never grant a source more than its ids (seed ${seed}, ${places ?? "default"} places)`, async () => {
        await withWorkers((limits) => {
          const random = new Random(seed);
          const had = new Map<string, number>();
          let tick = 1;
          for (let i = 0; i < 30_000; i++) {
            if (random.below(1000) === 0) tick += 1 + random.below(3);
            const limit = limits[random.below(WORKERS)];
            const itsTick = random.below(20) === 0 ? tick - random.below(3) : tick; // its clock may be behind
            const number = random.below(20);
            const granted = limit.spend(
              sourceOf(number),
              random.below(10) === 0 ? 2 ** 32 - 1 : random.below(8),
              itsTick,
            );
            const refunded = random.below(4) === 0 ? random.below(granted + 1) : 0;
            if (refunded > 0) limit.refund(sourceOf(number), refunded, itsTick);
            const key = `${number} in ${itsTick}`;
            const total = (had.get(key) ?? 0) + granted - refunded;
            had.set(key, total);
            assert(total <= L, `${total} for ${key}`);
          }
          assert(Math.max(...had.values()) === L);
        }, places);
      });
    }
  }
});
