/**
 * Leases from a pool of the layout sonyflake, and prints every lease as three numbers of 32 bits: tick, first, end. It
 * prints a lease of zeros once it has opened the pool, and begins when its stdin has ended.
 *
 * Arguments: the pool's path, an order, a number. The orders:
 *
 * - `empty`: acquires single ids of every tick until there are none, for the number of ticks.
 * - `once`: acquires a single id of the tick of the number.
 * - `count`: adds 1 to each count of worker 0, as many times as the number says.
 * - `spend`: leases all ids of a source that has so many, one by one, and prints their number as the end of a lease.
 * - `die`: kills itself while it holds the pool's mutex.
 * - `dieCounting`: kills itself while it holds the mutex of the sources.
 */
import { SourceTable } from "../../lib/access/source_table.ts";
import { SequenceLease } from "../../lib/id/sequence_pool.ts";
import { NodePool } from "../../lib/node/node_pool.ts";
import { COUNT_WORDS } from "../../lib/node/pool_memory.ts";
import { SONYFLAKE_LAYOUT } from "../../mod.ts";
import { RawPool } from "./raw_pool.ts";

function print(...lease: number[]): void {
  Deno.stdout.writeSync(new Uint8Array(Uint32Array.from(lease).buffer));
}

const [path, order, number] = Deno.args;
const pool = NodePool.join(path, SONYFLAKE_LAYOUT);
const lease = new SequenceLease();
print(0, 0, 0);
await Deno.stdin.readable.pipeTo(new WritableStream());
if (order === "die") {
  new RawPool(path).lock();
  Deno.kill(Deno.pid, "SIGKILL");
}
if (order === "dieCounting") {
  pool.sources.lock();
  Deno.kill(Deno.pid, "SIGKILL");
}
if (order === "once") {
  pool.acquire(Number(number), 1, lease);
  print(lease.tick, lease.first, lease.end);
}
if (order === "count") {
  const ones = Array(COUNT_WORDS).fill(1);
  for (let i = 0; i < Number(number); i++) pool.addCounts(0, ones);
}
if (order === "spend") {
  const table = new SourceTable(pool.sources, { idsPerTick: Number(number), leaseParts: 2 ** 31, tickMs: 10 });
  let spent = 0;
  while (table.lease(1, 2, 1, 5) === 1) spent++;
  print(0, 0, spent);
}
if (order === "empty") {
  for (let tick = 0; tick < Number(number); tick = Math.max(tick + 1, lease.tick)) {
    // As often as there can be a lease: a pool that never runs out would be wrong, and its test is to end all the same.
    for (let tries = 0; tries <= SONYFLAKE_LAYOUT.maxSequence; tries++) {
      pool.acquire(tick, 1, lease);
      if (lease.end === lease.first) break;
      print(lease.tick, lease.first, lease.end);
      lease.first = lease.end; // it is used
    }
  }
}
