import { assert, assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { SourceTable } from "../../lib/access/source_table.ts";
import { denoCommand } from "../../testing/deno_process.ts";
import { TempDir } from "../../testing/temp_dir.ts";
import { until } from "../../testing/within.ts";
import { COUNT_WORDS } from "../../lib/node/pool_memory.ts";
import { RawPool, WORD } from "./raw_pool.ts";
import { acquire, FROM_TICK_0, makePool, openPool } from "./pools.ts";

const PROCESS = new URL("./pool_process.ts", import.meta.url).href;

/** Starts a process that has a pool open, and carries out an order once it is told to begin. */
async function startProcess(
  path: string,
  order: "empty" | "once" | "count" | "spend" | "die" | "dieCounting",
  number = 0,
) {
  const process = denoCommand({
    deno: ["run", "--quiet", "--no-check", "--allow-ffi", "--allow-run"],
    program: PROCESS,
    args: [path, order, number],
    stdout: "piped",
    stdin: "piped",
  }).spawn();
  const [all, beginning] = process.stdout.tee();
  await read(beginning, 12);
  return {
    begin: () => process.stdin.close(),
    /** All leases of the process, once it has ended. */
    leases: leasesOf(all),
    /** Lets the process acquire so many leases, and kills it. */
    killAfter: async (times: number) => {
      await read(beginning, 12 * times);
      process.kill("SIGKILL");
    },
    status: process.status,
  };
}

/** The leases that a process has printed whole. */
async function leasesOf(output: ReadableStream<Uint8Array<ArrayBuffer>>): Promise<number[][]> {
  const bytes = await new Response(output).arrayBuffer();
  const numbers = new Uint32Array(bytes.slice(0, bytes.byteLength - bytes.byteLength % 12));
  return Array.from({ length: numbers.length / 3 }, (_, i) => [...numbers.subarray(3 * i, 3 * i + 3)]).slice(1);
}

/** Waits until so many bytes have come. */
async function read(output: ReadableStream<Uint8Array<ArrayBuffer>>, bytes: number): Promise<void> {
  const reader = output.getReader();
  while (bytes > 0) {
    const { value } = await reader.read();
    if (value === undefined) throw new Error("the process has ended");
    bytes -= value.length;
  }
  reader.releaseLock();
}

describe("NodePool, whose mutex was held by a process that was killed", () => {
  it("works for a process that opens it later", async () => {
    await using temp = await TempDir.make();
    const path = `${temp.path}/pool`;
    makePool(path)[Symbol.dispose]();
    for (let round = 0; round < 3; round++) {
      const process = await startProcess(path, "die");
      await process.begin();
      assertEquals((await process.status).signal, "SIGKILL");
      await process.leases;
      using pool = openPool(path);
      assertEquals([acquire(pool, round, 7), acquire(pool, round, 3)], [[round, 0, 7], [round, 7, 10]]);
    }
  });

  it("works for a process that counts sources", async () => {
    await using temp = await TempDir.make();
    using pool = makePool(`${temp.path}/pool`);
    const table = new SourceTable(pool.sources, { idsPerTick: 10, leaseParts: 1, tickMs: 10 });
    for (let tick = 0; tick < 3; tick++) {
      const process = await startProcess(pool.path, "dieCounting");
      await process.begin();
      assertEquals((await process.status).signal, "SIGKILL");
      await process.leases;
      assertEquals([table.lease(1, 2, 7, tick), table.lease(1, 2, 7, tick)], [10, 0]);
    }
  });

  it("works for a process that has it open, whatever that does first", async () => {
    await using temp = await TempDir.make();
    const path = `${temp.path}/pool`;
    using pool = makePool(path);
    const firsts = [
      () => assertEquals(pool.position, FROM_TICK_0),
      () => assertEquals(acquire(pool, 6, 3), [6, 0, 3]),
      () => assertEquals([pool.own(), pool.close()], [true, true]),
    ];
    for (const first of firsts) {
      const process = await startProcess(path, "die");
      await process.begin();
      await process.status;
      await process.leases;
      first();
      pool.extend(2 ** 30 + 1);
    }
  });
});

describe("NodePool, whose mutex another process has", () => {
  it("reads the mark once it has locked the mutex", async () => {
    await using temp = await TempDir.make();
    const path = `${temp.path}/pool`;
    using pool = makePool(path);
    using memory = new RawPool(path);
    const process = await startProcess(path, "once", 5);
    memory.lock();
    await process.begin();
    let hasEnded = false;
    process.status.then(() => hasEnded = true);
    await until("the process waits for the mutex", () => memory.isWaitedFor || hasEnded);
    assert(!hasEnded);
    memory.words[WORD.mark] = 0; // as the owner does who closes it
    memory.unlock();
    assertEquals(await process.leases, [[5, 0, 0]]);
    assertEquals(pool.position, FROM_TICK_0);
  });
});

describe("NodePool, with processes side by side", () => {
  it("leases every sequence number once, and none is left over", async () => {
    await using temp = await TempDir.make();
    using pool = makePool(`${temp.path}/pool`);
    const processes = await Promise.all(Array.from({ length: 2 }, () => startProcess(pool.path, "empty", 500)));
    await Promise.all(processes.map((process) => process.begin()));
    const leasesOfEach = await Promise.all(processes.map(({ leases }) => leases));
    const ticksOfEach = leasesOfEach.map((leases) => new Set(leases.map(([tick]) => tick)));
    assert(ticksOfEach[0].intersection(ticksOfEach[1]).size > 0, "ticks that they shared");
    const leases = leasesOfEach.flat();
    for (const process of processes) assertEquals((await process.status).code, 0);
    leases.sort(([tickA, firstA], [tickB, firstB]) => tickA - tickB || firstA - firstB);
    let at = [0, 0];
    for (const [tick, first, end] of leases) {
      assertEquals([tick, first, end], [...at, first + 1]);
      at = end === 256 ? [tick + 1, 0] : [tick, end];
    }
    assertEquals(at, [500, 0]);
  });

  it("counts all that they add", async () => {
    await using temp = await TempDir.make();
    using pool = makePool(`${temp.path}/pool`);
    const times = 100_000;
    const processes = await Promise.all([1, 2].map(() => startProcess(pool.path, "count", times)));
    await Promise.all(processes.map((process) => process.begin()));
    for (const process of processes) assertEquals((await process.status).code, 0);
    await Promise.all(processes.map(({ leases }) => leases));
    assertEquals([...pool.countsOf(0)], Array(COUNT_WORDS).fill(2 * times));
  });

  it("lets a source spend its ids once, and all of them", async () => {
    await using temp = await TempDir.make();
    using pool = makePool(`${temp.path}/pool`);
    const ids = 3_000_000;
    const processes = await Promise.all([1, 2].map(() => startProcess(pool.path, "spend", ids)));
    await Promise.all(processes.map((process) => process.begin()));
    const spent = (await Promise.all(processes.map(({ leases }) => leases))).map(([[, , end]]) => end);
    assert(Math.min(...spent) > 0, "ids that they shared");
    assertEquals(spent[0] + spent[1], ids);
    for (const process of processes) assertEquals((await process.status).code, 0);
  });

  it("leases no sequence number twice when processes are killed", async () => {
    await using temp = await TempDir.make();
    using pool = makePool(`${temp.path}/pool`);
    const leases: number[][] = [];
    async function keepKilling() {
      for (let round = 0; round < 6; round++) {
        const process = await startProcess(pool.path, "empty", 2 ** 30);
        await process.begin();
        await process.killAfter(200);
        leases.push(...await process.leases);
        await process.status;
      }
    }
    await Promise.all([keepKilling(), keepKilling()]);
    assert(leases.length > 12 * 199, `${leases.length} leases`);
    const seen = new Set(leases.map(([tick, first]) => tick * 256 + first));
    assertEquals(seen.size, leases.length);
    assert(leases.every(([, first, end]) => end === first + 1));
  });
});
