import { type Libc, systemMessage } from "../libc/libc.ts";
import { PoolError } from "./pool_header.ts";

/** Room for a `pthread_mutex_t`, and for a `pthread_mutexattr_t`, in bytes: the longest on 64-bit Linux takes 48. */
export const MUTEX_BYTES = 48;

/** As <pthread.h> and <errno.h> have them on Linux. */
const PTHREAD_PROCESS_SHARED = 1;
const PTHREAD_MUTEX_ROBUST = 1;
const EBUSY = 16;
const ETIMEDOUT = 110;
const EOWNERDEAD = 130;
const CLOCK_MONOTONIC = 1;

/**
 * How often to try for the mutex before sleeping until it is free. A process holds it for some 30 ns, while a thread
 * that sleeps takes microseconds to wake up.
 */
const TRIES = 50;

/**
 * How long to wait for the mutex at most, in ms. A holder that waits for a CPU of a busy machine takes some 100 ms. One
 * that takes longer was stopped, or is broken and would hold it for ever.
 */
const TIMEOUT_MS = 5000;

/** For how long the kernel waits at a time, in s. The deadline of a wait is wrong if somebody fakes the clock. */
const WAIT_S = 1n;

/**
 * A mutex of POSIX threads in memory that processes share. If its holder is killed, the kernel passes it on to the next
 * one (pthread_mutexattr_setrobust). JavaScript's own `Atomics` promise nothing for memory that is no
 * `SharedArrayBuffer`.
 */
export class RobustMutex {
  readonly #libc: Libc;
  readonly #pointer: Deno.PointerValue;

  /**
   * Uses the mutex at an address.
   *
   * @param libc The functions that operate on it.
   * @param pointer The address of {@linkcode MUTEX_BYTES}, mapped as long as the mutex is used.
   */
  constructor(libc: Libc, pointer: Deno.PointerValue) {
    this.#libc = libc;
    this.#pointer = pointer;
  }

  /** Initializes the mutex, in memory of zeros. */
  init(): void {
    const attributes = new Uint8Array(MUTEX_BYTES);
    this.#libc.pthread_mutexattr_init(attributes);
    this.#libc.pthread_mutexattr_setpshared(attributes, PTHREAD_PROCESS_SHARED);
    this.#libc.pthread_mutexattr_setrobust(attributes, PTHREAD_MUTEX_ROBUST);
    this.#libc.pthread_mutex_init(this.#pointer, attributes);
  }

  /**
   * Locks the mutex, and waits until that is possible, for some seconds at most. The memory that the mutex protects
   * must be sound between any two stores: the holder before may have been killed there.
   *
   * @throws {PoolError} If the mutex is damaged, or its holder does not unlock it.
   */
  lock(): void {
    const code = this.#libc.pthread_mutex_trylock(this.#pointer);
    if (code !== 0) this.#lockAfter(code);
  }

  /**
   * Locks the mutex after a first attempt ended with this error. (A method of its own, so that V8 can inline the other
   * one.)
   */
  #lockAfter(code: number): void {
    for (let tries = 1; code === EBUSY && tries < TRIES; tries++) {
      code = this.#libc.pthread_mutex_trylock(this.#pointer);
    }
    if (code === EBUSY) code = this.#wait();
    if (code === 0) return;
    if (code === ETIMEDOUT) throw new PoolError("the pool cannot be locked: another process does not unlock it");
    if (code !== EOWNERDEAD) throw new PoolError(`the pool cannot be locked: ${systemMessage(this.#libc, code)}`);
    this.#libc.pthread_mutex_consistent(this.#pointer);
  }

  /** Sleeps until the mutex can be locked, and locks it. */
  #wait(): number {
    const { pthread_mutex_clocklock: lockUntil, pthread_mutex_lock: lockEver, clock_gettime } = this.#libc;
    if (lockUntil === null) return lockEver(this.#pointer);
    const deadlineMs = performance.now() + TIMEOUT_MS;
    while (true) {
      const time = new BigInt64Array(2); // a timespec: s, ns
      clock_gettime(CLOCK_MONOTONIC, new Uint8Array(time.buffer));
      time[0] += WAIT_S;
      const code = lockUntil(this.#pointer, CLOCK_MONOTONIC, new Uint8Array(time.buffer));
      if (code !== ETIMEDOUT || performance.now() >= deadlineMs) return code;
    }
  }

  /** Unlocks the mutex. */
  unlock(): void {
    this.#libc.pthread_mutex_unlock(this.#pointer);
  }
}
