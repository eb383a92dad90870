/**
 * Takes sequence numbers from the pool of another process, through as many ticks as it is told, once its stdin has ended, and
 * prints every lease as three numbers: tick, first, end. Told to die, it does so with the pool's mutex in its hands.
 *
 * Arguments: the pool's path, the number of ticks, and `die` or not.
 */
import { SequenceLease } from "../../lib/id/sequence_pool.ts";
import { openLibc } from "../../lib/libc/libc.ts";
import { SharedSequencePool } from "../../lib/node/shared_sequence_pool.ts";
import { SONYFLAKE_LAYOUT } from "../../mod.ts";

const [path, ticks, order] = Deno.args;
if (order === "die") {
  const libc = openLibc();
  const fd = libc.open(new TextEncoder().encode(path + "\0"), 2);
  const memory = Deno.UnsafePointerView.getArrayBuffer(libc.mmap(null, 4096n, 3, 1, fd, 0n)!, 64) as ArrayBuffer;
  libc.pthread_mutex_lock(new Uint8Array(memory));
  Deno.kill(Deno.pid, "SIGKILL");
}
const pool = SharedSequencePool.open(path, SONYFLAKE_LAYOUT);
const lease = new SequenceLease();
await Deno.stdin.readable.pipeTo(new WritableStream());
for (let tick = 0; tick < Number(ticks); tick = Math.max(tick + 1, lease.tick)) {
  // As often as there can be a lease: a pool that never runs out would be wrong, and its test is to end all the same.
  for (let tries = 0; tries <= SONYFLAKE_LAYOUT.maxSequence; tries++) {
    pool.take(tick, 1, lease);
    if (lease.end === lease.first) break;
    Deno.stdout.writeSync(new Uint8Array(Uint32Array.of(lease.tick, lease.first, lease.end).buffer));
  }
}
