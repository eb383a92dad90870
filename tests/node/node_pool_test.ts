import { assert, assertEquals, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import fc from "fast-check";
import { BatchedPool } from "../../lib/node/batched_pool.ts";
import { NodePool } from "../../lib/node/node_pool.ts";
import { PoolError } from "../../lib/node/pool_header.ts";
import { createUnnamedFile, ForeignFileError } from "../../lib/node/own_file.ts";
import { COUNT_WORDS, POOL_BYTES } from "../../lib/node/pool_memory.ts";
import { openLibc } from "../../lib/libc/libc.ts";
import { SequenceLease } from "../../lib/id/sequence_pool.ts";
import { IdSequencer } from "../../lib/id/id_sequencer.ts";
import { DEFAULT_LAYOUT, IdGrant, IdLayout, IdStatus, SONYFLAKE_LAYOUT } from "../../mod.ts";
import { HandClock } from "../id/hand_clock.ts";
import { endOnFailure } from "../shrinking.ts";
import { TempDir } from "../../testing/temp_dir.ts";
import { HEADER_BYTES, RawPool, WORD } from "./raw_pool.ts";
import { acquire, FROM_TICK_0, IDENTITY, makePool, openPool } from "./pools.ts";

describe("NodePool", () => {
  it("leases each sequence number once, exactly as many as are asked for", async () => {
    await using temp = await TempDir.make();
    using a = makePool(`${temp.path}/pool`, { layout: DEFAULT_LAYOUT });
    using b = NodePool.join(a.path, DEFAULT_LAYOUT);
    assertEquals(acquire(a, 5, 1), [5, 0, 1]);
    assertEquals(acquire(b, 5, 1), [5, 1, 2]);
    assertEquals(acquire(a, 5, 1000), [5, 2, 1002]);
    assertEquals(acquire(b, 5, 2 ** 32 - 1), [5, 1002, 131_072]);
    assertEquals(acquire(a, 5, 1), [5, 131_072, 131_072]);
    assertEquals(acquire(b, 6, 1), [6, 0, 1]);
    assertEquals(acquire(a, 5, 1), [6, 0, 0], "the other one is ahead");
    assertEquals(acquire(a, 6, 1), [6, 1, 2]);
    assertEquals(acquire(a, 8, 2 ** 32 - 1), [8, 0, 131_072]);
    assertEquals(acquire(b, 8, 1), [8, 131_072, 131_072]);
  });

  it("begins at its position", async () => {
    await using temp = await TempDir.make();
    const path = `${temp.path}/pool`;
    using first = makePool(path, { position: { tick: 9, taken: 256 } });
    assertEquals([first.position, first.firstUnusedTick], [{ tick: 9, taken: 256 }, 10]);
    assertEquals(acquire(first, 9, 1), [9, 256, 256]);
    assertEquals(acquire(first, 8, 1)[0], 9);
    assertEquals(acquire(first, 10, 1), [10, 0, 1]);
    using middle = makePool(path, { position: { tick: 9, taken: 17 } });
    assertEquals(acquire(middle, 9, 1), [9, 17, 18]);
    using beginning = makePool(path, { position: { tick: 9, taken: 0 } });
    assertEquals(beginning.firstUnusedTick, 9);
    assertEquals(acquire(beginning, 9, 1), [9, 0, 1]);
    assertEquals([beginning.position, beginning.firstUnusedTick], [{ tick: 9, taken: 1 }, 10]);
  });

  it("goes up to the last tick of the longest layout", async () => {
    await using temp = await TempDir.make();
    const options = { tickMs: 1000, epochMs: 0, nodeBits: 0 };
    const layout = new IdLayout({ ...options, timeBits: 53, sequenceBits: 0 });
    const last = { tick: layout.maxTick - 1, taken: 1 };
    using long = makePool(`${temp.path}/pool`, { layout, position: last, mark: layout.maxTick + 1 });
    assertEquals(acquire(long, layout.maxTick, 5), [layout.maxTick, 0, 1]);
    assertEquals(acquire(long, layout.maxTick, 5), [layout.maxTick, 1, 1]);
    const wide = new IdLayout({ ...options, timeBits: 32, sequenceBits: 31 });
    using most = makePool(`${temp.path}/most`, { layout: wide, position: { tick: 6, taken: 0 }, mark: 8 });
    assertEquals(acquire(most, 6, 2 ** 32 - 1), [6, 0, 2 ** 31]);
    assertEquals(acquire(most, 6, 1), [6, 2 ** 31, 2 ** 31]);
  });

  it("leases nothing from its mark on, and does not enter such a tick", async () => {
    await using temp = await TempDir.make();
    using pool = makePool(`${temp.path}/pool`, { mark: 6 });
    acquire(pool, 5, 3);
    assertEquals(acquire(pool, 6, 1), [6, 0, 0]);
    assertEquals(acquire(pool, 2 ** 30, 1), [2 ** 30, 0, 0]);
    assertEquals(pool.position, { tick: 5, taken: 3 });
    pool.extend(7);
    assertEquals([pool.mark, acquire(pool, 6, 1), acquire(pool, 7, 1)], [7, [6, 0, 1], [7, 0, 0]]);
    using none = makePool(`${temp.path}/none`, { position: { tick: 5, taken: 256 }, mark: 6 });
    assertEquals([acquire(none, 6, 1), acquire(none, 5, 1)], [[6, 0, 0], [5, 256, 256]]);
  });

  it("never lowers its mark", async () => {
    await using temp = await TempDir.make();
    using pool = makePool(`${temp.path}/pool`, { mark: 6 });
    pool.extend(5);
    pool.extend(6);
    pool.extend(0);
    assertEquals([pool.mark, pool.isClosed], [6, false]);
  });

  it("throws if the process that it joins is gone, and once it is disposed of", async () => {
    assertThrows(() => NodePool.join("/proc/1/fd/12345", DEFAULT_LAYOUT), Error, "cannot open the pool");
    await using temp = await TempDir.make();
    const path = `${temp.path}/pool`;
    const pool = makePool(path);
    pool[Symbol.dispose]();
    pool[Symbol.dispose]();
    assertThrows(() => acquire(pool, 5, 1), PoolError, "the pool is disposed of");
    assertThrows(() => pool.holder, PoolError, "the pool is disposed of");
    using again = openPool(path);
    assertEquals(acquire(again, 5, 1), [5, 0, 1]);
  });
});

describe("NodePool, given the rest of a lease", () => {
  /** A pool of which tick 5 is begun, by a lease of 10. */
  async function setUp(temp: TempDir) {
    const pool = makePool(`${temp.path}/pool`, { mark: 9 });
    const lease = await Promise.resolve(new SequenceLease());
    pool.acquire(5, 10, lease);
    return { pool, lease };
  }

  it("extends the rest if that was taken last", async () => {
    await using temp = await TempDir.make();
    const { pool, lease } = await setUp(temp);
    using _pool = pool;
    lease.first = 7;
    pool.acquire(5, 5, lease);
    assertEquals([lease.tick, lease.first, lease.end], [5, 7, 12]);
    pool.acquire(5, 1000, lease);
    assertEquals([lease.tick, lease.first, lease.end], [5, 7, 256]);
  });

  it("drops the rest if another process has acquired since, or a later tick has begun", async () => {
    await using temp = await TempDir.make();
    const { pool, lease } = await setUp(temp);
    using _pool = pool;
    acquire(pool, 5, 1);
    lease.first = 7;
    pool.acquire(5, 5, lease);
    assertEquals([lease.tick, lease.first, lease.end], [5, 11, 16]);
    acquire(pool, 6, 16);
    lease.first = 12;
    pool.acquire(6, 1, lease);
    assertEquals([lease.tick, lease.first, lease.end], [6, 16, 17], "not the numbers of the tick before");
  });

  it("releases the rest if that was taken last, and only then", async () => {
    await using temp = await TempDir.make();
    const { pool, lease } = await setUp(temp);
    using _pool = pool;
    lease.first = 7;
    pool.releaseLease(lease);
    pool.releaseLease(lease); // there is nothing left
    assertEquals([pool.position, lease.first], [{ tick: 5, taken: 7 }, lease.end]);
    pool.acquire(5, 3, lease);
    assertEquals([lease.first, lease.end], [7, 10]);
    acquire(pool, 5, 1);
    pool.releaseLease(lease);
    assertEquals(pool.position, { tick: 5, taken: 11 });
    pool.acquire(5, 5, lease);
    acquire(pool, 6, lease.end);
    pool.releaseLease(lease);
    assertEquals(pool.position, { tick: 6, taken: 16 });
  });
});

describe("NodePool, opened again", () => {
  it("outlives every process that has it open", async () => {
    await using temp = await TempDir.make();
    const path = `${temp.path}/pool`;
    makePool(path)[Symbol.dispose]();
    for (let round = 0; round < 3; round++) {
      using pool = openPool(path);
      assertEquals(pool.holder, "h-1");
      assertEquals(acquire(pool, 5, 1), [5, round, round + 1]);
    }
  });

  it("keeps working for processes that have it open after another pool has replaced it at its path", async () => {
    await using temp = await TempDir.make();
    const path = `${temp.path}/pool`;
    using before = makePool(path);
    acquire(before, 5, 9);
    using after = makePool(path, { holder: "h-2" });
    using opened = openPool(path);
    assertEquals([opened.holder, opened.position], ["h-2", FROM_TICK_0]);
    assertEquals([acquire(before, 5, 1), acquire(after, 5, 1), acquire(opened, 5, 1)], [[5, 9, 10], [5, 0, 1], [
      5,
      1,
      2,
    ]]);
  });

  it("needs no path to be joined", () => {
    using pool = NodePool.create(createUnnamedFile(openLibc(), POOL_BYTES), {
      ...{ identity: IDENTITY, position: FROM_TICK_0, mark: 9, attempt: "at-1" },
    });
    using joined = NodePool.join(pool.path, SONYFLAKE_LAYOUT);
    assertEquals([acquire(pool, 5, 1), acquire(joined, 5, 1), joined.holder], [[5, 0, 1], [5, 1, 2], "h-1"]);
  });
});

describe("NodePool, when a process is killed between any two of its stores", () => {
  const changes: [what: string, change: (pool: NodePool, lease: SequenceLease) => void][] = [
    ["acquires a lease", (pool) => acquire(pool, 5, 3)],
    ["extends a lease of its own", (pool, lease) => pool.acquire(5, 3, lease)],
    ["begins a tick", (pool) => acquire(pool, 6, 3)],
    ["begins a tick with as many as it has", (pool) => acquire(pool, 9, 256)],
    ["begins a tick with as many as are taken of the one before", (pool) => acquire(pool, 6, 20)],
    ["acquires nothing", (pool) => acquire(pool, 4, 3)],
    ["releases the rest of a lease", (pool, lease) => pool.releaseLease(lease)],
    ["raises the mark", (pool) => pool.extend(30)],
    ["becomes the owner", (pool) => pool.own()],
    ["closes the pool", (pool) => pool.close()],
  ];
  for (const [what, change] of changes) {
    it(`is as before or as after, never in between, when the process ${what}`, async () => {
      await using temp = await TempDir.make();
      const path = `${temp.path}/pool`;
      for (const ticks of [[5], [3, 5], [1, 3, 5]]) { // so that each of the two places counts once
        const states: string[] = [];
        const note = () => {
          // The state as the next process finds it. (This process holds the mutex.)
          const [takenA, takenB, tickA, tickB, mark, owner] = memory.words;
          states.push([...(tickB > tickA ? [tickB, takenB] : [tickA, takenA]), mark, owner].join());
        };
        let isMade = false;
        using pool = makeWatched(() => makePool(path, { mark: 20 }), () => isMade && note());
        using memory = new RawPool(path);
        isMade = true;
        const lease = new SequenceLease();
        for (const tick of ticks) {
          acquire(pool, tick, 10);
          pool.acquire(tick, 10, lease);
        }
        lease.first += 5;
        states.splice(0);
        note();
        change(pool, lease);
        assert(new Set(states).size <= 2, states.join(" -> "));
      }
    });
  }

  /** Makes a pool of which every number that is stored is noted. */
  function makeWatched(make: () => NodePool, onStore: () => void): NodePool {
    const Real = Float64Array;
    globalThis.Float64Array = new Proxy(Real, {
      construct: (_, args) =>
        new Proxy(new Real(...args as [ArrayBuffer]), {
          get: (array, key) => {
            const value = Reflect.get(array, key, array);
            return typeof value === "function" ? value.bind(array) : value;
          },
          set: (array, key, value) => {
            Reflect.set(array, key, value, array);
            onStore();
            return true;
          },
        }),
    });
    try {
      return make();
    } finally {
      globalThis.Float64Array = Real;
    }
  }
});

describe("NodePool.check", () => {
  /** A pool of tick 5 with the mark 8, which its owner has checked, and its memory in the hands of another process. */
  async function setUp() {
    await using cleanUp = new AsyncDisposableStack();
    const temp = cleanUp.use(await TempDir.make());
    const path = `${temp.path}/pool`;
    const pool = cleanUp.use(makePool(path, { mark: 8 }));
    acquire(pool, 5, 9);
    pool.check(8);
    const memory = cleanUp.use(new RawPool(path));
    const { tickA, tickB } = WORD;
    const current = memory.words[tickB] > memory.words[tickA] ? 1 : 0;
    const owned = cleanUp.move();
    return { path, pool, memory, current, [Symbol.asyncDispose]: () => owned.disposeAsync() };
  }

  it("lets sound processes do what they do", async () => {
    await using world = await setUp();
    const { pool } = world;
    using worker = NodePool.join(pool.path, SONYFLAKE_LAYOUT);
    const lease = new SequenceLease();
    worker.acquire(5, 200, lease);
    pool.check(8);
    worker.releaseLease(lease); // fewer are taken than before
    pool.check(8);
    acquire(worker, 7, 1000);
    pool.check(8);
    pool.check(9); // a mark that the pool has not been told yet
    worker.check(3); // which is not the owner, and knows no mark
    using successor = openPool(world.path);
    assert(successor.own());
    successor.extend(20);
    pool.check(8); // another process is the owner now
    successor.check(20);
    assert(successor.close());
    pool.check(8);
  });

  const damages: [what: string, spoil: (words: Float64Array, current: number) => void][] = [
    ["a mark that the owner has not reserved", (words) => words[WORD.mark] = 9],
    ["a mark that is no number", (words) => words[WORD.mark] = NaN],
    ["the mark of a closed pool", (words) => words[WORD.mark] = 0],
    ["the mark of a condemned pool", (words) => words[WORD.mark] = -1],
    ["a tick at the mark", (words, current) => words[WORD.tickA + current] = 8],
    ["an endless tick", (words, current) => words[WORD.tickA + current] = Infinity],
    ["an earlier tick than before", (words, current) => words[WORD.tickA + current] = 4],
    ["no tick", (words, current) => words[WORD.tickA + current] = NaN],
    ["half a tick", (words, current) => words[WORD.tickA + current] = 5.5],
    ["more taken than there is", (words, current) => words[WORD.takenA + current] = 257],
    ["less taken than nothing", (words, current) => words[WORD.takenA + current] = -1],
  ];
  for (const [what, spoil] of damages) {
    it(`finds ${what}`, async () => {
      await using world = await setUp();
      spoil(world.memory.words, world.current);
      assertThrows(() => world.pool.check(8), PoolError, "the pool is damaged: ");
    });
  }

  it("keeps nonsense from whoever asks for the position", async () => {
    await using world = await setUp();
    const { pool, memory, current } = world;
    memory.words[WORD.tickA + current] = 2 ** 52;
    assertThrows(() => pool.position, PoolError, "the pool is damaged");
    memory.words[WORD.tickA + current] = 4;
    assertThrows(() => pool.firstUnusedTick, PoolError, "the pool is damaged");
    assertThrows(() => pool.position, PoolError, "the pool is damaged");
    memory.words[WORD.tickA + current] = 5;
    assertEquals(pool.position, { tick: 5, taken: 9 });
  });

  it("is followed by an end for good: nobody leases from a pool that is condemned, or goes on from it", async () => {
    await using world = await setUp();
    const { pool } = world;
    using worker = NodePool.join(pool.path, SONYFLAKE_LAYOUT);
    pool.condemn();
    assertEquals([acquire(worker, 5, 1), acquire(worker, 6, 1)], [[5, 0, 0], [6, 0, 0]]);
    pool.extend(2 ** 30);
    assertEquals([worker.isClosed, worker.own(), pool.close(), acquire(worker, 7, 1)], [true, false, false, [7, 0, 0]]);
    assertThrows(() => openPool(world.path), PoolError, "the pool is damaged");
  });
});

describe("NodePool.own and NodePool.close", () => {
  it("closes it for all processes, and for good", async () => {
    await using temp = await TempDir.make();
    const path = `${temp.path}/pool`;
    using pool = makePool(path);
    using other = NodePool.join(pool.path, SONYFLAKE_LAYOUT);
    acquire(pool, 5, 9);
    assertEquals([pool.close(), pool.isClosed, other.isClosed, other.mark], [true, true, true, 0]);
    for (const each of [pool, other]) {
      assertEquals([acquire(each, 5, 1), acquire(each, 6, 1), acquire(each, 4, 1)], [[5, 0, 0], [6, 0, 0], [4, 0, 0]]);
    }
    pool.extend(2 ** 30);
    assertEquals([pool.own(), other.own(), pool.close(), other.close()], [false, false, false, false]);
    assertEquals([pool.mark, acquire(pool, 7, 1)], [0, [7, 0, 0]]);
    using opened = openPool(path);
    assertEquals([opened.isClosed, opened.own(), opened.close()], [true, false, false]);
    assertEquals([opened.position, opened.firstUnusedTick], [{ tick: 5, taken: 9 }, 6]);
  });

  it("lets only the owner close it: the process that made it, or called own last", async () => {
    await using temp = await TempDir.make();
    const path = `${temp.path}/pool`;
    using first = makePool(path);
    using second = openPool(path);
    using worker = NodePool.join(first.path, SONYFLAKE_LAYOUT);
    assertEquals([first.isOwned, second.isOwned, worker.isOwned], [true, false, false]);
    assertEquals([second.close(), worker.close(), first.isClosed], [false, false, false]);
    assert(second.own());
    assertEquals([first.isOwned, second.isOwned], [false, true]);
    assertEquals([first.close(), first.isClosed], [false, false]);
    assertEquals(acquire(first, 5, 1), [5, 0, 1]);
    first.extend(2 ** 30 + 1); // nothing is wrong with that
    assert(first.own());
    assertEquals([second.close(), first.close(), second.isClosed], [false, true, true]);
  });

  it("does not make a process the owner that opens a pool without an owner", async () => {
    await using temp = await TempDir.make();
    const path = `${temp.path}/pool`;
    using _pool = makePool(path);
    using memory = new RawPool(path);
    memory.words[WORD.owner] = 0;
    using opened = openPool(path);
    assertEquals([opened.isOwned, opened.close(), opened.isClosed], [false, false, false]);
  });
});

describe("NodePool.addCounts", () => {
  /** Counts with these at the beginning. */
  const counts = (...first: number[]) => Array.from({ length: COUNT_WORDS }, (_, i) => first[i] ?? 0);

  it("adds to the counts of a worker, also from several processes, and keeps them when all of these have ended", async () => {
    await using temp = await TempDir.make();
    const path = `${temp.path}/pool`;
    {
      using a = makePool(path);
      using b = NodePool.join(a.path, SONYFLAKE_LAYOUT);
      assertEquals([...a.countsOf(1)], counts());
      a.addCounts(1, counts(1, 2, 3));
      b.addCounts(1, counts(10, 0, 2 ** 40));
      b.addCounts(2, counts(7));
      assertEquals([...b.countsOf(1)], counts(11, 2, 2 ** 40 + 3));
    }
    using later = openPool(path);
    assertEquals([...later.countsOf(0), ...later.countsOf(1)], [...counts(), ...counts(11, 2, 2 ** 40 + 3)]);
    assertEquals([...later.countsOf(2)], counts(7));
  });

  it("has counts for any number of workers, which they share from 1024 on", async () => {
    await using temp = await TempDir.make();
    using pool = makePool(`${temp.path}/pool`);
    pool.addCounts(1023, counts(1));
    pool.addCounts(1024 + 1023, counts(1));
    pool.addCounts(1024, counts(5));
    assertEquals([pool.countsOf(1023)[0], pool.countsOf(0)[0], pool.countsOf(2048)[0]], [2, 5, 5]);
  });

  it("fails once the pool is disposed of", async () => {
    await using temp = await TempDir.make();
    const pool = makePool(`${temp.path}/pool`);
    pool[Symbol.dispose]();
    assertThrows(() => pool.addCounts(0, counts(1)), PoolError, "disposed of");
    assertThrows(() => pool.countsOf(0), PoolError, "disposed of");
  });
});

describe("NodePool.open", () => {
  const changes: [what: string, why: RegExp, change: (memory: RawPool) => void][] = [
    ["no title", /^the pool is damaged: it does not begin as one$/, (memory) => memory.write("G")],
    ["zeros", /^the pool is damaged: it does not begin as one$/, (memory) => memory.bytes.fill(0)],
    ["noise", /^the pool is damaged: it does not begin as one$/, (memory) => memory.bytes.fill(0xe5)],
    ["another version", /^the pool is of version 7, and this program knows 4$/, (memory) => memory.write("7", 15)],
    ["a boot that was long ago", /^the pool is of boot c-1, and this is boot b-1$/, (memory) => memory.write("c", 22)],
    ["no holder", /^the pool is damaged: it names no holder$/, (memory) => endHeaderAt(memory, "h-1")],
    ["no holder's line", /^the pool is damaged: it names no holder$/, (memory) => endHeaderAt(memory, "holder")],
    ["no node", /^the pool is of nothing, and this is node 7$/, (memory) => endHeaderAt(memory, "node")],
    ["a header without end", /./, (memory) => memory.bytes.fill(0x61, 30, HEADER_BYTES)],
    ["a tick that is no number", /^the pool is damaged: 256, 0, NaN, -1, /, set(WORD.tickA, NaN)],
    ["a tick that is no integer", /^the pool is damaged: /, set(WORD.tickB, 1.5)],
    ["a tick before the first", /^the pool is damaged: /, set(WORD.tickB, -2)],
    ["a tick at the mark", /^the pool is damaged: /, set(WORD.tickB, 2 ** 30)],
    ["a tick past the last", /^the pool is damaged: /, set(WORD.tickB, SONYFLAKE_LAYOUT.maxTick + 1)],
    ["too many taken", /^the pool is damaged: /, set(WORD.takenA, 257)],
    ["too many taken, where it does not count", /^the pool is damaged: /, set(WORD.takenB, 257)],
    ["fewer than none taken", /^the pool is damaged: /, set(WORD.takenA, -1)],
    ["a number taken that is none", /^the pool is damaged: /, set(WORD.takenA, Infinity)],
    ["a mark past the last tick", /^the pool is damaged: /, set(WORD.mark, SONYFLAKE_LAYOUT.maxTick + 2)],
    ["a mark that is no number", /^the pool is damaged: /, set(WORD.mark, NaN)],
    ["a mark before the first tick", /^the pool is damaged: /, set(WORD.mark, -1)],
  ];

  function set(index: number, value: number): (memory: RawPool) => void {
    return ({ words }) => words[index] = value;
  }

  function endHeaderAt(memory: RawPool, text: string): void {
    const header = new TextDecoder().decode(memory.bytes.subarray(0, HEADER_BYTES));
    memory.bytes.fill(0, header.indexOf(text), HEADER_BYTES);
  }

  for (const [what, why, change] of changes) {
    it(`refuses a pool that has ${what}`, async () => {
      await using temp = await TempDir.make();
      const path = `${temp.path}/pool`;
      makePool(path)[Symbol.dispose]();
      using memory = new RawPool(path);
      change(memory);
      const { message } = assertThrows(() => openPool(path), PoolError);
      assert(why.test(message), message);
    });
  }

  it("refuses a pool of another boot, node or layout, and says which", async () => {
    await using temp = await TempDir.make();
    const path = `${temp.path}/pool`;
    using _pool = makePool(path);
    assertThrows(() => openPool(path, { boot: "b-2" }), PoolError, "the pool is of boot b-1, and this is boot b-2");
    assertThrows(() => openPool(path, { boot: "b-11" }), PoolError, "the pool is of boot b-1, and this is boot b-11");
    assertThrows(() => openPool(path, { nodeId: 8 }), PoolError, "the pool is of node 7, and this is node 8");
    assertThrows(
      () => openPool(path, { layout: DEFAULT_LAYOUT }),
      PoolError,
      `the pool is of layout ${SONYFLAKE_LAYOUT.key}, and this is layout ${DEFAULT_LAYOUT.key}`,
    );
    assertEquals(openPool(path, { holder: "h-2" }).holder, "h-1"); // that is for others to compare
  });

  it("opens a pool that is closed, that has its mark at the end, or of which nothing is taken", async () => {
    await using temp = await TempDir.make();
    const path = `${temp.path}/pool`;
    const { maxTick } = SONYFLAKE_LAYOUT;
    using whole = makePool(path, { position: { tick: maxTick, taken: 256 }, mark: maxTick + 1 });
    whole.close();
    openPool(path)[Symbol.dispose]();
    using _none = makePool(path, { position: { tick: -1, taken: 0 }, mark: 1 });
    openPool(path)[Symbol.dispose]();
  });

  for (const bytes of [0, 1, POOL_BYTES - 1, POOL_BYTES + 1]) {
    it(`refuses a file of ${bytes} bytes`, async () => {
      await using temp = await TempDir.make();
      const path = `${temp.path}/pool`;
      makePool(path)[Symbol.dispose]();
      await Deno.truncate(path, bytes);
      assertThrows(
        () => openPool(path),
        PoolError,
        `the pool is damaged, or of another version: it has ${bytes} bytes, not ${POOL_BYTES}`,
      );
    });
  }

  it("refuses a file that is not this user's alone", async () => {
    await using temp = await TempDir.make();
    const path = `${temp.path}/pool`;
    makePool(path)[Symbol.dispose]();
    await Deno.chmod(path, 0o666);
    assertThrows(() => openPool(path), ForeignFileError, "has the mode 100666 instead of 100600");
  });
});

describe("IdSequencers that share a pool, each with batches of its own", () => {
  const LAYOUT = new IdLayout({ timeBits: 20, sequenceBits: 6, nodeBits: 0, tickMs: 1000, epochMs: 0 });
  const anyEvent = fc.oneof(
    { weight: 6, arbitrary: fc.record({ who: fc.nat({ max: 2 }), count: fc.integer({ min: 1, max: 6 }) }) },
    { weight: 3, arbitrary: fc.record({ who: fc.nat({ max: 2 }), datagrams: fc.integer({ min: 1, max: 8 }) }) },
    { weight: 1, arbitrary: fc.record({ passedMs: fc.nat({ max: 1500 }) }) },
  );

  it("give no id twice, and a higher one for a request that was sent after another one was answered", async () => {
    await using temp = await TempDir.make();
    let given = 0;
    const run = (
      events: ({ who: number; count: number } | { who: number; datagrams: number } | { passedMs: number })[],
    ) => {
      using pool = makePool(`${temp.path}/pool`, { nodeId: 0, layout: LAYOUT, mark: 1000 });
      const clock = new HandClock(5000);
      const workers = Array.from({ length: 3 }, () => {
        const batched = new BatchedPool(pool);
        const ids = new IdSequencer({ nodeId: 0, layout: LAYOUT, clock, sequencePool: batched });
        return { batched, ids, answers: [] as number[], floor: -1 };
      });
      const seen = new Set<number>();
      let answered = -1;
      const grant = new IdGrant();
      for (const event of events) {
        if ("passedMs" in event) {
          clock.ms += event.passedMs;
          continue;
        }
        const worker = workers[event.who];
        if ("datagrams" in event) { // the batch is answered, and the next one has come
          worker.ids.releaseLease();
          answered = Math.max(answered, ...worker.answers.splice(0));
          worker.floor = answered;
          worker.batched.begin(event.datagrams);
        } else if (worker.ids.tryRange(event.count, grant) === IdStatus.OK) {
          for (let id = grant.firstLow; id < grant.firstLow + grant.count; id++) {
            assert(!seen.has(id), `${id} was given out twice`);
            assert(id > worker.floor, `${id} is not above ${worker.floor}`);
            assert(id > (worker.answers.at(-1) ?? -1), `${id} does not ascend`);
            seen.add(id);
            worker.answers.push(id);
            given++;
          }
        }
      }
    };
    fc.assert(fc.property(fc.array(anyEvent, { minLength: 20, maxLength: 60, size: "max" }), run), {
      ...{ numRuns: 500, seed: 20_260_101, endOnFailure },
    });
    assert(given > 20_000, `only ${given} ids were given out: the cases prove little`);
  });
});
