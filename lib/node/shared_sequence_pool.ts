import type { IdLayout } from "../id/layout.ts";
import type { SequenceLease, SequencePool } from "../id/sequence_pool.ts";
import { type Libc, openLibc, systemError, systemMessage } from "../libc/libc.ts";

// Where things are in the memory that the processes share, in bytes.
const MUTEX = 0;
const STATE = 64;
const MEMORY_BYTES = 4096;

/** Room for a `pthread_mutex_t` or a `pthread_mutexattr_t`: the longest on 64-bit Linux takes 48. */
const MUTEX_BYTES = 64;

/** As <sys/mman.h>, <fcntl.h>, <pthread.h> and <errno.h> have them on 64-bit Linux. */
const MFD_CLOEXEC = 1;
const PROT_READ_WRITE = 3;
const MAP_SHARED = 1;
const O_RDWR_CLOEXEC = 0o2000002;
const PTHREAD_PROCESS_SHARED = 1;
const PTHREAD_MUTEX_ROBUST = 1;
const EOWNERDEAD = 130;

/**
 * How many ids a worker takes at a time at most, if it is asked for fewer: a multiple of what it is asked for, so that what is left
 * of them is enough for the next one who asks for as many. Taking some costs a worker about 0.9 us, and an answer 0.05 us.
 */
const MAX_LEASE = 512;
/** What a worker takes at a time is at most this part of a tick, so that little is left over in the hands of one that rests. */
const LEASES_PER_TICK = 2048;

/**
 * The sequence numbers of a node, in memory that its worker processes share: so they follow the demand, worker by worker and
 * request by request, and a worker that was killed takes with it no more than what it had just taken.
 *
 * All that the processes share is one 64-bit number, the tick and how many of its sequence numbers are taken, behind a mutex of
 * POSIX threads: JavaScript's own `Atomics` promise nothing for memory that is no `SharedArrayBuffer`. The mutex is a robust one
 * (pthread_mutexattr_setrobust): if its holder is killed, the next one gets it, and as the number is changed by a single store,
 * the one that was killed has made its change or has not. Either way, nobody gets what somebody else got.
 *
 * The memory is gone with the last process that has it. Whoever begins anew begins with ticks that were not reserved before.
 */
export class SharedSequencePool implements SequencePool {
  /** Where a process of the same user can open it, as long as this one runs. */
  readonly path: string;

  readonly #libc: Libc;
  readonly #mutex: Uint8Array<ArrayBuffer>;
  /** The tick, and in the lower `sequenceBits + 1` bits how many of its sequence numbers are taken. */
  readonly #state: BigUint64Array<ArrayBuffer>;
  readonly #takenBits: number;
  readonly #idsPerTick: number;
  readonly #leaseSize: number;

  private constructor(libc: Libc, fd: number, layout: IdLayout) {
    this.#libc = libc;
    this.path = `/proc/${Deno.pid}/fd/${fd}`;
    const pointer = libc.mmap(null, BigInt(MEMORY_BYTES), PROT_READ_WRITE, MAP_SHARED, fd, 0n);
    if (pointer === null || Deno.UnsafePointer.value(pointer) === 2n ** 64n - 1n) {
      throw systemError(libc, "cannot map the memory that workers share");
    }
    const memory = Deno.UnsafePointerView.getArrayBuffer(pointer, MEMORY_BYTES) as ArrayBuffer;
    this.#mutex = new Uint8Array(memory, MUTEX, MUTEX_BYTES);
    this.#state = new BigUint64Array(memory, STATE, 1);
    this.#takenBits = layout.sequenceBits + 1;
    this.#idsPerTick = layout.maxSequence + 1;
    this.#leaseSize = Math.min(Math.max(Math.floor(this.#idsPerTick / LEASES_PER_TICK), 1), MAX_LEASE);
  }

  /**
   * Makes the memory.
   *
   * @param layout How the ids are laid out.
   * @param firstTick The first tick that there are ids for.
   * @throws {Deno.errors.NotCapable | Deno.errors.NotSupported} If there is no way to libc: see `openLibc`.
   */
  static create(layout: IdLayout, firstTick: number): SharedSequencePool {
    const libc = openLibc();
    const fd = libc.memfd_create(cString("global-id"), MFD_CLOEXEC);
    if (fd < 0 || libc.ftruncate(fd, BigInt(MEMORY_BYTES)) !== 0) {
      throw systemError(libc, "cannot make the memory that workers share");
    }
    const pool = new SharedSequencePool(libc, fd, layout);
    const attributes = new Uint8Array(MUTEX_BYTES);
    libc.pthread_mutexattr_init(attributes);
    libc.pthread_mutexattr_setpshared(attributes, PTHREAD_PROCESS_SHARED);
    libc.pthread_mutexattr_setrobust(attributes, PTHREAD_MUTEX_ROBUST);
    libc.pthread_mutex_init(pool.#mutex, attributes);
    if (firstTick > 0) pool.#setState(firstTick - 1, pool.#idsPerTick);
    return pool;
  }

  /**
   * Opens the memory that another process of this user has made.
   *
   * @param path The other's `path`.
   * @param layout How the ids are laid out there.
   * @throws {Error} If there is no such memory: the process is gone.
   */
  static open(path: string, layout: IdLayout): SharedSequencePool {
    const libc = openLibc();
    const fd = libc.open(cString(path), O_RDWR_CLOEXEC);
    if (fd < 0) throw systemError(libc, `cannot open the memory that workers share, ${path}`);
    return new SharedSequencePool(libc, fd, layout);
  }

  /** See {@linkcode SequencePool.take}. */
  take(tick: number, count: number, lease: SequenceLease): void {
    const libc = this.#libc;
    const code = libc.pthread_mutex_lock(this.#mutex);
    if (code === EOWNERDEAD) libc.pthread_mutex_consistent(this.#mutex);
    else if (code !== 0) {
      throw new Error(`the memory that workers share cannot be locked: ${systemMessage(libc, code)}`);
    }

    const state = this.#state[0];
    const poolTick = Number(state >> BigInt(this.#takenBits));
    const taken = tick > poolTick ? 0 : Number(BigInt.asUintN(this.#takenBits, state));
    const wanted = tick < poolTick ? 0 : count * Math.max(Math.floor(this.#leaseSize / count), 1);
    lease.tick = Math.max(tick, poolTick);
    lease.first = taken;
    lease.end = Math.min(taken + wanted, this.#idsPerTick);
    if (wanted > 0) this.#setState(tick, lease.end);

    libc.pthread_mutex_unlock(this.#mutex);
  }

  #setState(tick: number, taken: number): void {
    this.#state[0] = BigInt(tick) << BigInt(this.#takenBits) | BigInt(taken);
  }
}

function cString(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(text + "\0");
}
