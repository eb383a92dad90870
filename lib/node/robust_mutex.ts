import { type Libc, systemMessage } from "../libc/libc.ts";
import { PoolError } from "./pool_header.ts";

/** Room for a `pthread_mutex_t`, and for a `pthread_mutexattr_t`, in bytes: the longest on 64-bit Linux takes 48. */
export const MUTEX_BYTES = 48;

/** As <pthread.h> and <errno.h> have them on Linux. */
const PTHREAD_PROCESS_SHARED = 1;
const PTHREAD_MUTEX_ROBUST = 1;
const EBUSY = 16;
const EOWNERDEAD = 130;

/**
 * How often to try for the mutex before sleeping until it is free. A process holds it for some 30 ns, while a thread
 * that sleeps takes microseconds to wake up.
 */
const TRIES = 50;

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
   * Locks the mutex, and waits until that is possible. The memory that the mutex protects must be sound between any two
   * stores: the holder before may have been killed there.
   *
   * @throws {PoolError} If the mutex is damaged.
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
    if (code === EBUSY) code = this.#libc.pthread_mutex_lock(this.#pointer);
    if (code === 0) return;
    if (code !== EOWNERDEAD) throw new PoolError(`the pool cannot be locked: ${systemMessage(this.#libc, code)}`);
    this.#libc.pthread_mutex_consistent(this.#pointer);
  }

  /** Unlocks the mutex. */
  unlock(): void {
    this.#libc.pthread_mutex_unlock(this.#pointer);
  }
}
