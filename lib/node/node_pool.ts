/**
 * The pool of a node: memory that all processes of a machine share, which says what of the node's ticks is taken. It outlives every
 * one of them, so whoever is started again on the same machine goes on exactly there.
 *
 * **The invariant**: a sequence number of a tick is taken once, and who takes later gets a higher id.
 *
 * The memory begins with a header that says what the pool belongs to: see `pool_header.ts`.
 *
 * Behind it are a robust mutex of POSIX threads (JavaScript's own `Atomics` promise nothing for memory that is no
 * `SharedArrayBuffer`), and numbers of 64 bits each, which are only changed by who has the mutex:
 *
 *     taken | taken | tick | tick | mark | owner
 *
 * A tick and how many of its sequence numbers are taken do not fit into the 53 bits of one number, and a take with 64 bits (a bigint)
 * costs five times as much. So there are two places for the two: the one with the later tick counts. In that tick, numbers are taken by
 * one store. A later tick is begun in the other place: how many are taken there first, then the tick. So a process that is killed
 * between any two steps has taken what it was about to take, or has not, and the mutex passes on to the next one
 * (pthread_mutexattr_setrobust).
 *
 * From the mark on, ticks are not the node's (yet). A mark of 0 says that the pool is closed: nobody takes from it ever again, and so
 * what is not taken then may be given back to the store. Only its owner, the supervisor that took it over last, may close it.
 *
 * @module
 */
import type { IdLayout } from "../id/layout.ts";
import type { SequenceLease, SequencePool } from "../id/sequence_pool.ts";
import { cString, type Libc, openLibc, systemError, systemMessage } from "../libc/libc.ts";
import { type NewFile, openOwnFile } from "./own_file.ts";
import {
  checkPoolHeader,
  HEADER_BYTES,
  holderInPoolHeader,
  isPoolHeader,
  PoolError,
  type PoolIdentity,
  writePoolHeader,
} from "./pool_header.ts";

// Where things are in the memory, in bytes.
const HEADER = 0;
const MUTEX = HEADER + HEADER_BYTES;
/**
 * Room for a `pthread_mutex_t` or a `pthread_mutexattr_t`: the longest on 64-bit Linux takes 48. With how many are taken in each of the
 * two places, it fills a cache line: that one has to go from CPU to CPU with every take, and the next one only with every tick.
 */
const MUTEX_BYTES = 48;
const STATE = MUTEX + MUTEX_BYTES;
/** What workers count, a cache line for each, up to as many as there may be. */
const COUNTERS = 4096;
const MAX_WORKERS = 1024;
const COUNTER_BYTES = 64;
/** How long the memory is, in bytes. */
export const POOL_BYTES = COUNTERS + MAX_WORKERS * COUNTER_BYTES;

// Where numbers are in the state, by their index: how many are taken in each of the two places, then the tick of each.
const TAKEN = 0;
const TICK = 2;
const MARK = 4;
const OWNER = 5;
const STATE_LENGTH = 6;
/** The mark of a pool that is closed. */
const CLOSED = 0;

/** As <sys/mman.h>, <fcntl.h>, <pthread.h> and <errno.h> have them on 64-bit Linux. */
const PROT_READ_WRITE = 3;
const MAP_SHARED = 1;
const O_RDWR_CLOEXEC = 0o2000002;
const PTHREAD_PROCESS_SHARED = 1;
const PTHREAD_MUTEX_ROBUST = 1;
const EBUSY = 16;
const EOWNERDEAD = 130;

/**
 * How often to try to get the mutex before sleeping until it is free: whoever has it has it for some 30 ns, and to sleep and be woken up
 * takes microseconds.
 */
const TRIES = 50;

/** Where a pool is: the last tick of which anything is taken, and how many of its sequence numbers. */
export interface PoolPosition {
  readonly tick: number;
  readonly taken: number;
}

/** See the module's documentation. To dispose of it changes nothing but that this process has it no more. */
export class NodePool implements SequencePool, Disposable {
  /** Where a process of the same user can open it with {@linkcode NodePool.join}, as long as this one runs. */
  readonly path: string;

  readonly #libc: Libc;
  readonly #fd: number;
  readonly #memory: Deno.PointerObject;
  readonly #mutex: Deno.PointerValue;
  #header: Uint8Array<ArrayBuffer>;
  #state: Float64Array<ArrayBuffer>;
  readonly #idsPerTick: number;
  /** What this process is known by as the pool's owner; no owner has a 0. */
  #owner = 0;

  private constructor(libc: Libc, fd: number, layout: IdLayout) {
    const memory = libc.mmap(null, BigInt(POOL_BYTES), PROT_READ_WRITE, MAP_SHARED, fd, 0n);
    if (memory === null || Deno.UnsafePointer.value(memory) === 2n ** 64n - 1n) {
      throw systemError(libc, "cannot map the pool of the node");
    }
    const buffer = Deno.UnsafePointerView.getArrayBuffer(memory, POOL_BYTES) as ArrayBuffer;
    this.path = `/proc/${Deno.pid}/fd/${fd}`;
    this.#libc = libc;
    this.#fd = fd;
    this.#memory = memory;
    this.#mutex = Deno.UnsafePointer.offset(memory, MUTEX);
    this.#header = new Uint8Array(buffer, HEADER, HEADER_BYTES);
    this.#state = new Float64Array(buffer, STATE, STATE_LENGTH);
    this.#idsPerTick = layout.maxSequence + 1;
  }

  /**
   * Makes a pool, which this process owns, in a file that is not at its path yet.
   *
   * @param file Of {@linkcode POOL_BYTES} zeros.
   * @param identity What it belongs to.
   * @param position What is taken.
   * @param mark The first tick that is not the node's.
   * @throws {Error} If it cannot be mapped.
   */
  static create({ fd }: NewFile, identity: PoolIdentity, position: PoolPosition, mark: number): NodePool {
    const libc = openLibc();
    const pool = new NodePool(libc, fd, identity.layout);
    writePoolHeader(pool.#header, identity);
    const attributes = new Uint8Array(MUTEX_BYTES);
    libc.pthread_mutexattr_init(attributes);
    libc.pthread_mutexattr_setpshared(attributes, PTHREAD_PROCESS_SHARED);
    libc.pthread_mutexattr_setrobust(attributes, PTHREAD_MUTEX_ROBUST);
    libc.pthread_mutex_init(pool.#mutex, attributes);
    pool.#owner = randomOwner();
    pool.#state.set([position.taken, 0, position.tick, -1, mark, pool.#owner]);
    return pool;
  }

  /**
   * Opens the pool that lies at a path.
   *
   * @param path Where.
   * @param identity What it must belong to, but for its holder.
   * @returns The pool; `undefined` if there is none.
   * @throws {ForeignFileError} If what lies there is not this user's alone.
   * @throws {PoolError} If it belongs to something else, is damaged, or of another version.
   */
  static open(path: string, identity: Omit<PoolIdentity, "holder">): NodePool | undefined {
    const libc = openLibc();
    const file = openOwnFile(libc, path);
    if (file === undefined) return undefined;
    if (file.bytes !== POOL_BYTES) {
      libc.close(file.fd);
      throw new PoolError(`the pool is damaged, or of another version: it has ${file.bytes} bytes, not ${POOL_BYTES}`);
    }
    const pool = new NodePool(libc, file.fd, identity.layout);
    try {
      checkPoolHeader(pool.#header, identity);
      pool.#checkState(identity.layout);
      return pool;
    } catch (error) {
      pool[Symbol.dispose]();
      throw error;
    }
  }

  /**
   * Opens the pool that another process of this user has, to take from it.
   *
   * @param path The other's `path`.
   * @param layout How its ids are laid out.
   * @throws {Error} If there is no such memory: the process is gone.
   */
  static join(path: string, layout: IdLayout): NodePool {
    const libc = openLibc();
    const fd = libc.open(cString(path), O_RDWR_CLOEXEC, 0);
    if (fd < 0) throw systemError(libc, `cannot open the pool of the node, ${path}`);
    const pool = new NodePool(libc, fd, layout);
    if (isPoolHeader(pool.#header)) return pool;
    pool[Symbol.dispose]();
    throw new PoolError(`${path} is no pool`);
  }

  /** The holder's name in the reservation store. */
  get holder(): string {
    return holderInPoolHeader(this.#header);
  }

  /** See {@linkcode SequencePool.acquire}. */
  acquire(tick: number, count: number, lease: SequenceLease): void {
    this.#lock();
    const state = this.#state;
    const place = this.#place();
    const poolTick = state[TICK + place];
    const mark = state[MARK];
    let [first, end] = [0, 0];
    if (tick === poolTick && tick < mark) {
      const taken = state[TAKEN + place];
      first = isLast(lease, tick, taken) ? lease.first : taken;
      end = Math.min(first + count, this.#idsPerTick);
      state[TAKEN + place] = end;
    } else if (tick > poolTick && tick < mark) {
      end = Math.min(count, this.#idsPerTick);
      const other = 1 - place;
      state[TAKEN + other] = end;
      state[TICK + other] = tick; // from here on, it counts
    }
    lease.tick = tick < poolTick && tick < mark ? poolTick : tick;
    lease.first = first;
    lease.end = end;
    this.#unlock();
  }

  /** See {@linkcode SequencePool.releaseLease}. */
  releaseLease(lease: SequenceLease): void {
    this.#lock();
    const place = this.#place();
    const taken = TAKEN + place;
    if (isLast(lease, this.#state[TICK + place], this.#state[taken])) this.#state[taken] = lease.first;
    this.#unlock();
    lease.first = lease.end;
  }

  /** The mark: the first tick that is not the node's (yet); 0 once the pool is closed. */
  get mark(): number {
    return this.#state[MARK];
  }

  /** Whether it is closed: nobody takes from it any more. */
  get isClosed(): boolean {
    return this.mark === CLOSED;
  }

  /** What is taken. */
  get position(): PoolPosition {
    this.#lock();
    const place = this.#place();
    const position = { tick: this.#state[TICK + place], taken: this.#state[TAKEN + place] };
    this.#unlock();
    return position;
  }

  /** The first tick of which nothing is taken. */
  get firstUnusedTick(): number {
    const { tick, taken } = this.position;
    return taken === 0 ? tick : tick + 1;
  }

  /** Says that all ticks up to a mark are the node's; no earlier one than is known, and not once the pool is closed. */
  extend(mark: number): void {
    this.#lock();
    if (!this.isClosed && mark > this.mark) this.#state[MARK] = mark;
    this.#unlock();
  }

  /**
   * Makes this process the pool's owner, in place of any other.
   *
   * @returns Whether it is: not if the pool is closed.
   */
  own(): boolean {
    this.#lock();
    const isOpen = !this.isClosed;
    if (isOpen) this.#state[OWNER] = this.#owner = randomOwner();
    this.#unlock();
    return isOpen;
  }

  /** Whether this process is the pool's owner still. */
  get isOwned(): boolean {
    return this.#owner !== 0 && this.#state[OWNER] === this.#owner;
  }

  /**
   * Closes the pool for good: from now on, nobody takes from it.
   *
   * @returns Whether it is closed by this process: only its owner can.
   */
  close(): boolean {
    this.#lock();
    const mayClose = this.isOwned && !this.isClosed;
    if (mayClose) this.#state[MARK] = CLOSED;
    this.#unlock();
    return mayClose;
  }

  /** Unmaps and closes it. */
  [Symbol.dispose](): void {
    if (this.#state.length === 0) return;
    // Nobody is to reach what is unmapped.
    this.#state = new Float64Array();
    this.#header = new Uint8Array();
    this.#libc.munmap(this.#memory, BigInt(POOL_BYTES));
    this.#libc.close(this.#fd);
  }

  /** The place of the later one of the two ticks: 0 or 1. */
  #place(): number {
    return this.#state[TICK + 1] > this.#state[TICK] ? 1 : 0;
  }

  #lock(): void {
    if (this.#state.length === 0) throw new PoolError("the pool is disposed of");
    let code = this.#libc.pthread_mutex_trylock(this.#mutex);
    for (let tries = 1; code === EBUSY && tries < TRIES; tries++) code = this.#libc.pthread_mutex_trylock(this.#mutex);
    if (code === EBUSY) code = this.#libc.pthread_mutex_lock(this.#mutex);
    if (code === 0) return;
    if (code !== EOWNERDEAD) throw new PoolError(`the pool cannot be locked: ${systemMessage(this.#libc, code)}`);
    // Whoever had it was killed. Whatever he had got done, the state is sound.
    this.#libc.pthread_mutex_consistent(this.#mutex);
  }

  #unlock(): void {
    this.#libc.pthread_mutex_unlock(this.#mutex);
  }

  /** @throws {PoolError} If there is anything in the state that no pool can have. */
  #checkState({ maxTick }: IdLayout): void {
    const [takenA, takenB, tickA, tickB, mark] = this.#state;
    const isWithin = (value: number, min: number, max: number) =>
      Number.isInteger(value) && value >= min && value <= max;
    const isSound = [tickA, tickB].every((tick) => isWithin(tick, -1, maxTick)) &&
      [takenA, takenB].every((taken) => isWithin(taken, 0, this.#idsPerTick)) &&
      isWithin(mark, 0, maxTick + 1) && (mark === CLOSED || Math.max(tickA, tickB) < mark);
    if (!isSound) throw new PoolError(`the pool is damaged: ${this.#state.subarray(0, OWNER).join(", ")}`);
  }
}

/** Whether what is left of a lease was taken last: nobody has a higher number of the tick. */
function isLast(lease: SequenceLease, tick: number, taken: number): boolean {
  return lease.first < lease.end && lease.end === taken && lease.tick === tick;
}

/** Of 53 bits, and not 0. */
function randomOwner(): number {
  const [high, low] = crypto.getRandomValues(new Uint32Array(2));
  return (high >>> 11) * 2 ** 32 + low || 1;
}
