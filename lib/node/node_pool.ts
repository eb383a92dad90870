import type { IdLayout } from "../id/layout.ts";
import type { SequenceLease, SequencePool } from "../id/sequence_pool.ts";
import type { AttemptLog } from "../reservation/attempt_log.ts";
import { cString, type Libc, openLibc, systemError } from "../libc/libc.ts";
import { type NewFile, openOwnFile } from "./own_file.ts";
import {
  checkPoolHeader,
  holderInPoolHeader,
  isPoolHeader,
  PoolError,
  type PoolIdentity,
  writePoolHeader,
} from "./pool_header.ts";
import { PoolAttempts } from "./pool_attempts.ts";
import { COUNT_WORDS, mapPoolMemory, MAX_WORKERS, POOL_BYTES, type PoolMemory, WORD } from "./pool_memory.ts";
import type { RobustMutex } from "./robust_mutex.ts";
import type { SourceMemory } from "./source_memory.ts";

/**
 * As constants of this module, V8 compiles the indices into the code of a lease. It looks imported constants up each
 * time.
 */
const { taken: TAKEN, tick: TICK, mark: MARK, owner: OWNER } = WORD;

/** The mark of a closed pool. */
const CLOSED = 0;

/** The mark of a pool that nobody may go on from: no pool that is sound has it. */
const CONDEMNED = -1;

/** As <fcntl.h> has it on Linux. */
const O_RDWR_CLOEXEC = 0o2000002;

/** How far a pool has got: the last tick of which anything is taken, and how many of its sequence numbers. */
export interface PoolPosition {
  /** The tick. */
  readonly tick: number;
  /** How many of its sequence numbers are taken: 0 to the layout's `maxSequence + 1`. */
  readonly taken: number;
}

/** What {@linkcode NodePool.create} writes into a new pool. */
export interface NewPool {
  /** What the pool belongs to. */
  readonly identity: PoolIdentity;
  /** What is taken already. */
  readonly position: PoolPosition;
  /** The first tick that is not reserved. */
  readonly mark: number;
  /** The attempt by which the holder has written its record. */
  readonly attempt: string;
}

/**
 * The pool of a node: memory that all processes of a machine share, and that says which of the node's ids are taken. It
 * outlives each of these processes, so a server that is started again on the machine goes on exactly where the last one
 * ended.
 *
 * **The invariant**: a sequence number of a tick is leased once, and later leases have higher ids.
 *
 * **The two slots**: a tick and the count of its sequence numbers taken do not fit into the 53 bits of one number, and
 * a lease with bigints of 64 bits costs five times as much. So the memory has two slots of a tick and a count, and the
 * slot with the later tick is current. A lease of the current tick stores the count. A later tick begins in the other
 * slot: first its count is stored, then its tick, which makes that slot current. So a process that is killed between
 * any two stores has taken its lease, or has not, and the next process finds a sound pool.
 *
 * **Its states**: a pool is open until it is closed for good, and has one owner at a time.
 *
 * 1. A supervisor that claims the node makes the pool with `create`, and owns it.
 * 2. Its workers map the same memory with `join`, and lease from it.
 * 3. A later supervisor maps it with `open`. By `own` it becomes the owner, and the former owner finds `isOwned` false.
 * 4. At its end, the owner closes the pool: `close` sets the mark to 0. From then on nobody leases from the pool, so
 *    the ids that are not taken may be given back to the store. A process that is not the owner cannot close it.
 *
 * A worker that is broken can write anything to this memory, and have ids repeated as long as it runs. But what the
 * owner reads from it to write it down is checked: `check` and `position` throw if sound processes cannot have made
 * that of it. The owner then condemns the pool, and the next one begins at the mark on record.
 *
 * To dispose of a `NodePool` unmaps the memory from this process, and changes no state.
 */
export class NodePool implements SequencePool, Disposable {
  /** Where another process of this user can {@linkcode NodePool.join} the pool, as long as this process runs. */
  readonly path: string;
  /** The attempts of the pool's holder to write its record. */
  readonly attempts: AttemptLog;
  /** Where the workers count the ids of sources, behind a mutex of its own. */
  readonly sources: SourceMemory;

  readonly #libc: Libc;
  readonly #fd: number;
  readonly #memory: PoolMemory;
  readonly #mutex: RobustMutex;
  readonly #idsPerTick: number;
  readonly #maxTick: number;
  /** The last tick as this process saw it last. */
  #seenTick = -1;
  /** The memory's words; none once the pool is disposed of, so that nobody reaches what is unmapped. */
  #words: Float64Array<ArrayBuffer>;
  /** The number by which the memory names this process as the owner; 0 if it has never been the owner. */
  #owner = 0;

  private constructor(libc: Libc, fd: number, layout: IdLayout) {
    this.path = `/proc/${Deno.pid}/fd/${fd}`;
    this.#libc = libc;
    this.#fd = fd;
    this.#memory = mapPoolMemory(libc, fd);
    this.#mutex = this.#memory.mutex;
    this.#words = this.#memory.words;
    this.attempts = new PoolAttempts(this.#memory, () => this.#words.length === 0);
    this.sources = {
      ...this.#memory.sources,
      lock: () => {
        if (this.#words.length === 0) throw disposedError();
        this.#memory.sourcesMutex.lock();
      },
      unlock: () => this.#memory.sourcesMutex.unlock(),
    };
    this.#idsPerTick = layout.maxSequence + 1;
    this.#maxTick = layout.maxTick;
  }

  /**
   * Makes a pool, owned by this process.
   *
   * @param file A file of {@linkcode POOL_BYTES} zeros, which no other process opens before the pool is made.
   * @param content The content of the pool.
   * @throws {Error} If the file cannot be mapped.
   */
  static create({ fd }: NewFile, { identity, position, mark, attempt }: NewPool): NodePool {
    const pool = new NodePool(openLibc(), fd, identity.layout);
    writePoolHeader(pool.#memory.header, identity);
    pool.#mutex.init();
    pool.#memory.sourcesMutex.init();
    crypto.getRandomValues(pool.sources.secret);
    pool.#owner = randomOwner();
    pool.#words.set([position.taken, 0, position.tick, -1, mark, pool.#owner]);
    pool.attempts.note(attempt);
    return pool;
  }

  /**
   * Opens the pool at a path.
   *
   * @param path The path.
   * @param identity What the pool must belong to, whoever its holder is.
   * @returns The pool; `undefined` if there is no file.
   * @throws {ForeignFileError} If the file is not this user's alone.
   * @throws {PoolError} If the pool belongs to something else, is damaged, or has another version.
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
      checkPoolHeader(pool.#memory.header, identity);
      pool.#checkWords();
      return pool;
    } catch (error) {
      pool[Symbol.dispose]();
      throw error;
    }
  }

  /**
   * Opens the pool that another process of this user has open.
   *
   * @param path The `path` of that process's pool.
   * @param layout How ids are laid out.
   * @throws {PoolError} If the path leads to something else.
   * @throws {Error} If the path cannot be opened: that process is gone.
   */
  static join(path: string, layout: IdLayout): NodePool {
    const libc = openLibc();
    const fd = libc.open(cString(path), O_RDWR_CLOEXEC, 0);
    if (fd < 0) throw systemError(libc, `cannot open the pool of the node, ${path}`);
    const pool = new NodePool(libc, fd, layout);
    if (isPoolHeader(pool.#memory.header)) return pool;
    pool[Symbol.dispose]();
    throw new PoolError(`${path} is no pool`);
  }

  /** The name of the holder in the reservation store whose ticks the pool counts. */
  get holder(): string {
    if (this.#words.length === 0) throw disposedError();
    return holderInPoolHeader(this.#memory.header);
  }

  /** See {@linkcode SequencePool.acquire}. */
  acquire(tick: number, count: number, lease: SequenceLease): void {
    this.#lock();
    const words = this.#words;
    const slot = this.#currentSlot();
    const poolTick = words[TICK + slot];
    const mark = words[MARK];
    let first = 0;
    let end = 0;
    if (tick === poolTick && tick < mark) {
      const taken = words[TAKEN + slot];
      first = isLast(lease, tick, taken) ? lease.first : taken;
      end = Math.min(first + count, this.#idsPerTick);
      words[TAKEN + slot] = end;
    } else if (tick > poolTick && tick < mark) {
      end = Math.min(count, this.#idsPerTick);
      const other = 1 - slot;
      words[TAKEN + other] = end;
      words[TICK + other] = tick; // makes the other slot current
    }
    lease.tick = tick < poolTick && tick < mark ? poolTick : tick;
    lease.first = first;
    lease.end = end;
    this.#mutex.unlock();
  }

  /** See {@linkcode SequencePool.releaseLease}. */
  releaseLease(lease: SequenceLease): void {
    this.#lock();
    const words = this.#words;
    const slot = this.#currentSlot();
    if (isLast(lease, words[TICK + slot], words[TAKEN + slot])) words[TAKEN + slot] = lease.first;
    this.#mutex.unlock();
    lease.first = lease.end;
  }

  /** The mark: the first tick that is not reserved; 0 once the pool is closed. */
  get mark(): number {
    return this.#words[MARK];
  }

  /** Whether the pool is closed: nobody leases from it any more. */
  get isClosed(): boolean {
    return this.mark <= CLOSED;
  }

  /**
   * How far the pool has got.
   *
   * @throws {PoolError} If the pool is damaged: it has no such position, or has gone back.
   */
  get position(): PoolPosition {
    this.#lock();
    const slot = this.#currentSlot();
    const position = { tick: this.#words[TICK + slot], taken: this.#words[TAKEN + slot] };
    this.#mutex.unlock();
    if (!isWithin(position.tick, this.#seenTick, this.#maxTick) || !isWithin(position.taken, 0, this.#idsPerTick)) {
      throw this.#damage();
    }
    this.#seenTick = position.tick;
    return position;
  }

  /**
   * Checks, for its owner, that the pool is what sound processes can have made of it since the last check.
   *
   * @param mark The mark that the owner has reserved up to.
   * @throws {PoolError} If it is not.
   */
  check(mark: number): void {
    const { tick } = this.position;
    const isSound = this.mark > CLOSED && this.mark <= mark && tick < mark;
    if (!isSound && this.isOwned) throw this.#damage();
  }

  /**
   * Ends a pool that is damaged, for good: nobody leases from it, and no later server goes on from it. (Not behind the
   * mutex, which may be damaged, too.)
   */
  condemn(): void {
    this.#words[MARK] = CONDEMNED;
  }

  /** The first tick of which nothing is taken. */
  get firstUnusedTick(): number {
    const { tick, taken } = this.position;
    return taken === 0 ? tick : tick + 1;
  }

  /** Raises the mark. A lower mark than the pool's has no effect, and none has once the pool is closed. */
  extend(mark: number): void {
    this.#lock();
    if (!this.isClosed && mark > this.mark) this.#words[MARK] = mark;
    this.#mutex.unlock();
  }

  /**
   * Makes this process the pool's owner, in place of the former one.
   *
   * @returns Whether it is the owner now: not if the pool is closed.
   */
  own(): boolean {
    this.#lock();
    const isOpen = !this.isClosed;
    if (isOpen) this.#words[OWNER] = this.#owner = randomOwner();
    this.#mutex.unlock();
    return isOpen;
  }

  /** Whether this process is the pool's owner. */
  get isOwned(): boolean {
    return this.#owner !== 0 && this.#words[OWNER] === this.#owner;
  }

  /**
   * Closes the pool for good.
   *
   * @returns Whether this call has closed it: not if this process is not the owner, or the pool was closed before.
   */
  close(): boolean {
    this.#lock();
    const mayClose = this.isOwned && !this.isClosed;
    if (mayClose) this.#words[MARK] = CLOSED;
    this.#mutex.unlock();
    return mayClose;
  }

  /**
   * Adds to the counts of a worker. They outlive the worker, and never fall. A worker and its successor may add to the
   * same counts.
   *
   * @param worker The worker's number. Workers whose numbers differ by {@linkcode MAX_WORKERS} share their counts.
   * @param counts {@linkcode COUNT_WORDS} numbers, 0 or more.
   */
  addCounts(worker: number, counts: ArrayLike<number>): void {
    this.#lock();
    const begin = (worker % MAX_WORKERS) * COUNT_WORDS;
    for (let i = 0; i < COUNT_WORDS; i++) this.#memory.counts[begin + i] += counts[i];
    this.#mutex.unlock();
  }

  /** Copies the counts of a worker. */
  countsOf(worker: number): Float64Array<ArrayBuffer> {
    if (this.#words.length === 0) throw disposedError();
    const begin = (worker % MAX_WORKERS) * COUNT_WORDS;
    return this.#memory.counts.slice(begin, begin + COUNT_WORDS);
  }

  /** Unmaps the memory from this process. */
  [Symbol.dispose](): void {
    if (this.#words.length === 0) return;
    this.#words = new Float64Array();
    this.#memory.unmap();
    this.#libc.close(this.#fd);
  }

  /** The slot of the later tick: 0 or 1. */
  #currentSlot(): number {
    return this.#words[TICK + 1] > this.#words[TICK] ? 1 : 0;
  }

  #lock(): void {
    if (this.#words.length === 0) throw disposedError();
    this.#mutex.lock();
  }

  /**
   * Checks that the words are what a pool can have.
   *
   * @throws {PoolError} If they are not.
   */
  #checkWords(): void {
    const [takenA, takenB, tickA, tickB, mark] = this.#words;
    const isSound = [tickA, tickB].every((tick) => isWithin(tick, -1, this.#maxTick)) &&
      [takenA, takenB].every((taken) => isWithin(taken, 0, this.#idsPerTick)) &&
      isWithin(mark, 0, this.#maxTick + 1) && (mark === CLOSED || Math.max(tickA, tickB) < mark);
    if (!isSound) throw this.#damage();
  }

  #damage(): PoolError {
    return new PoolError(`the pool is damaged: ${this.#words.subarray(0, OWNER).join(", ")}`);
  }
}

function isWithin(value: number, min: number, max: number): boolean {
  return Number.isInteger(value) && value >= min && value <= max;
}

/** Whether the unused rest of a lease was taken last, so that nobody has a higher sequence number of the tick. */
function isLast(lease: SequenceLease, tick: number, taken: number): boolean {
  return lease.first < lease.end && lease.end === taken && lease.tick === tick;
}

function disposedError(): PoolError {
  return new PoolError("the pool is disposed of");
}

/** A number of 53 bits that is not 0. */
function randomOwner(): number {
  const [high, low] = crypto.getRandomValues(new Uint32Array(2));
  return (high >>> 11) * 2 ** 32 + low || 1;
}
