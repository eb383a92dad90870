import { assert, assertEquals, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { SequenceLease } from "../../lib/id/sequence_pool.ts";
import { SharedSequencePool } from "../../lib/node/shared_sequence_pool.ts";
import { DEFAULT_LAYOUT, IdLayout, SONYFLAKE_LAYOUT, WIDE_LAYOUT } from "../../mod.ts";

const PROCESS = new URL("./sequence_pool_process.ts", import.meta.url).href;

const lease = new SequenceLease();

function take(pool: SharedSequencePool, tick: number, count: number): [tick: number, first: number, end: number] {
  pool.take(tick, count, lease);
  return [lease.tick, lease.first, lease.end];
}

function startProcess(pool: SharedSequencePool, ticks: number, order = "") {
  return new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "--allow-ffi", "--allow-run", PROCESS, pool.path, String(ticks), order],
    stdout: "piped",
    stdin: "piped",
  }).spawn();
}

/** The leases that a process has printed whole. */
async function leasesOf(output: ReadableStream<Uint8Array<ArrayBuffer>>): Promise<number[][]> {
  const bytes = await new Response(output).arrayBuffer();
  const numbers = new Uint32Array(bytes.slice(0, bytes.byteLength - bytes.byteLength % 12));
  return Array.from({ length: numbers.length / 3 }, (_, i) => [...numbers.subarray(3 * i, 3 * i + 3)]);
}

/** Waits until so many bytes have come. */
async function read(output: ReadableStream<Uint8Array<ArrayBuffer>>, bytes: number): Promise<void> {
  const reader = output.getReader();
  while (bytes > 0) bytes -= (await reader.read()).value!.length;
}

describe("SharedSequencePool", () => {
  it("hands out a tick's numbers once, a few more than are asked for, to whoever has opened it", () => {
    const a = SharedSequencePool.create(DEFAULT_LAYOUT, 0);
    const b = SharedSequencePool.open(a.path, DEFAULT_LAYOUT);
    assertEquals(take(a, 5, 1), [5, 0, 64]);
    assertEquals(take(b, 5, 1), [5, 64, 128]);
    assertEquals(take(a, 5, 1000), [5, 128, 1128]);
    assertEquals(take(b, 5, 2 ** 32 - 1), [5, 1128, 131_072]);
    assertEquals(take(a, 5, 1), [5, 131_072, 131_072]);
    assertEquals(take(b, 6, 1), [6, 0, 64]);
    assertEquals(take(a, 5, 1), [6, 64, 64], "the other one is ahead");
    assertEquals(take(a, 6, 1), [6, 64, 128]);
  });

  it("has none before its first tick", () => {
    const pool = SharedSequencePool.create(DEFAULT_LAYOUT, 10);
    assertEquals(take(pool, 9, 1), [9, 131_072, 131_072]);
    assertEquals(take(pool, 8, 1)[0], 9);
    assertEquals(take(pool, 10, 1), [10, 0, 64]);
  });

  it("takes as many as are enough for several who ask for the same", () => {
    const pool = SharedSequencePool.create(DEFAULT_LAYOUT, 0);
    assertEquals(take(pool, 0, 10), [0, 0, 60]);
    assertEquals(take(pool, 0, 33), [0, 60, 93]);
    assertEquals(take(pool, 0, 32), [0, 93, 157]);
  });

  it("takes few at a time where a tick has few", () => {
    assertEquals(take(SharedSequencePool.create(SONYFLAKE_LAYOUT, 0), 0, 1), [0, 0, 1]);
    assertEquals(take(SharedSequencePool.create(WIDE_LAYOUT, 0), 0, 1), [0, 0, 512]);
  });

  it("goes as far as layouts go", () => {
    const options = { tickMs: 1000, epochMs: 0, nodeBits: 0 };
    const long = new IdLayout({ ...options, timeBits: 53, sequenceBits: 0 });
    const pool = SharedSequencePool.create(long, long.maxTick);
    assertEquals(take(pool, long.maxTick, 5), [long.maxTick, 0, 1]);
    assertEquals(take(pool, long.maxTick, 5), [long.maxTick, 1, 1]);
    const wide = new IdLayout({ ...options, timeBits: 32, sequenceBits: 31 });
    const most = SharedSequencePool.create(wide, wide.maxTick);
    assertEquals(take(most, wide.maxTick, 2 ** 32 - 1), [wide.maxTick, 0, 2 ** 31]);
    assertEquals(take(most, wide.maxTick, 1), [wide.maxTick, 2 ** 31, 2 ** 31]);
  });

  it("says so if the process that made it is gone", () => {
    assertThrows(() => SharedSequencePool.open("/proc/1/fd/12345", DEFAULT_LAYOUT), Error, "cannot open the memory");
  });

  it("is emptied by processes side by side: nothing twice, nothing left over", async () => {
    const pool = SharedSequencePool.create(SONYFLAKE_LAYOUT, 0);
    const processes = Array.from({ length: 3 }, () => startProcess(pool, 500));
    await Promise.all(processes.map(({ stdin }) => stdin.close())); // they begin together
    const leasesOfEach = await Promise.all(processes.map(({ stdout }) => leasesOf(stdout)));
    const ticksOfEach = leasesOfEach.map((leases) => new Set(leases.map(([tick]) => tick)));
    assert(ticksOfEach[0].intersection(ticksOfEach[1]).size > 0, "ticks that they shared");
    const leases = leasesOfEach.flat();
    for (const process of processes) assertEquals((await process.status).code, 0);
    leases.sort(([tickA, firstA], [tickB, firstB]) => tickA - tickB || firstA - firstB);
    let at = [0, 0];
    for (const [tick, first, end] of leases) {
      assertEquals([tick, first], at);
      at = end === 256 ? [tick + 1, 0] : [tick, end];
    }
    assertEquals(at, [500, 0]);
  });

  it("goes on when processes are killed: nothing twice", async () => {
    const pool = SharedSequencePool.create(SONYFLAKE_LAYOUT, 0);
    const leases: number[][] = [];
    async function keepKilling() {
      for (let round = 0; round < 8; round++) {
        const process = startProcess(pool, 2 ** 30);
        process.stdin.close();
        const [all, beginning] = process.stdout.tee();
        await read(beginning, 12 * 200);
        process.kill("SIGKILL");
        leases.push(...await leasesOf(all));
        await process.status;
      }
    }
    await Promise.all([keepKilling(), keepKilling()]);
    assert(leases.length > 16 * 199, `${leases.length} leases`);
    const seen = new Set(
      leases.flatMap(([tick, first, end]) => Array.from({ length: end - first }, (_, i) => `${tick} ${first + i}`)),
    );
    assertEquals(seen.size, leases.reduce((sum, [, first, end]) => sum + end - first, 0));
  });

  it("goes on when a process is killed in the middle of taking some", async () => {
    const pool = SharedSequencePool.create(SONYFLAKE_LAYOUT, 0);
    for (let round = 0; round < 3; round++) {
      const process = startProcess(pool, 0, "die");
      assertEquals((await process.status).signal, "SIGKILL");
      await Promise.all([process.stdin.abort(), process.stdout.cancel()]);
      assertEquals(take(pool, round, 7), [round, 0, 7]);
      assertEquals(take(pool, round, 3), [round, 7, 10]);
    }
  });
});
