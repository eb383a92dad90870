import { cString, type Libc, openLibc } from "../../lib/libc/libc.ts";

/** As <fcntl.h> and <sys/mman.h> have them on Linux. */
const O_RDWR_CLOEXEC = 0o2000002;
const PROT_READ_WRITE = 3;
const MAP_SHARED = 1;
const BYTES = 4096;

/** Offsets in a pool's memory, in bytes: see lib/node/pool_memory.ts. */
export const HEADER_BYTES = 1024;
const MUTEX_BYTES = 48;
const STATE = HEADER_BYTES + MUTEX_BYTES;

/** The index of each word behind the mutex. */
export const WORD = { takenA: 0, takenB: 1, tickA: 2, tickB: 3, mark: 4, owner: 5 } as const;

/** A process that waits for a mutex sets this bit in the first word of the mutex (see futex(2)). */
const FUTEX_WAITERS = 0x8000_0000;

/** The memory of a pool, for tests that do to it what no pool does. */
export class RawPool implements Disposable {
  /**
   * The bytes up to the workers' counters, without the attempts: the first page, which a file that was cut has, too.
   */
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** The words. */
  readonly words: Float64Array<ArrayBuffer>;
  /** The numbers of the first attempt noted, and of the next one. */
  readonly noted: Float64Array<ArrayBuffer>;

  readonly #libc: Libc;
  readonly #memory: Deno.PointerObject;
  readonly #mutex: Deno.PointerValue;

  /** Maps the pool at a path. */
  constructor(path: string) {
    this.#libc = openLibc();
    const fd = this.#libc.open(cString(path), O_RDWR_CLOEXEC, 0);
    const memory = this.#libc.mmap(null, BigInt(BYTES), PROT_READ_WRITE, MAP_SHARED, fd, 0n);
    this.#libc.close(fd);
    if (memory === null) throw new Error(`${path} cannot be mapped`);
    this.#memory = memory;
    this.#mutex = Deno.UnsafePointer.offset(this.#memory, HEADER_BYTES);
    const buffer = Deno.UnsafePointerView.getArrayBuffer(this.#memory, BYTES) as ArrayBuffer;
    this.bytes = new Uint8Array(buffer);
    this.words = new Float64Array(buffer, STATE, 6);
    this.noted = new Float64Array(buffer, STATE + 6 * 8, 2);
  }

  /** Locks the mutex. */
  lock(): void {
    this.#libc.pthread_mutex_lock(this.#mutex);
  }

  /** Unlocks the mutex. */
  unlock(): void {
    this.#libc.pthread_mutex_unlock(this.#mutex);
  }

  /** Whether a process waits for the mutex. */
  get isWaitedFor(): boolean {
    return (new Uint32Array(this.bytes.buffer, HEADER_BYTES, 1)[0] & FUTEX_WAITERS) !== 0;
  }

  /** Overwrites the memory with text. */
  write(text: string, offset: number = 0): void {
    this.bytes.set(new TextEncoder().encode(text), offset);
  }

  /** Unmaps the memory. */
  [Symbol.dispose](): void {
    this.#libc.munmap(this.#memory, BigInt(BYTES));
  }
}
