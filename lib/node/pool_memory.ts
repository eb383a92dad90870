/**
 * The memory of a pool, version 4, as a C compiler for 64-bit Linux would lay it out:
 *
 *     struct pool {
 *       char            header[1024];     //    0: text, see pool_header.ts
 *       pthread_mutex_t mutex;            // 1024: padded to 48 bytes
 *       double          taken[2];         // 1072: of each slot, how many sequence numbers of its tick are taken
 *       double          tick[2];          // 1088: of each slot, its tick
 *       double          mark;             // 1104: the first tick that is not reserved; 0 once the pool is closed
 *       double          owner;            // 1112: who may close the pool; 0 for nobody
 *       double          noted[2];         // 1120: the numbers of the first attempt noted, and of the next one
 *       char            padding[16];      // 1136
 *       pthread_mutex_t sources_mutex;    // 1152: protects what follows of the sources
 *       double          sources_tick;     // 1200: the tick of the counts below
 *       uint32_t        secret[5];        // 1208: decides where a source is counted
 *       char            padding[2868];    // 1228
 *       char            attempts[128][32] // 4096: attempt n in place n % 128, see pool_attempts.ts
 *       double          counts[1024][16]  // 8192: of each worker, what became of its datagrams: see access_counts.ts
 *       uint32_t        sources[16384][4] // 139264: how many ids a source has had of the tick: see source_memory.ts
 *     };                                  // 401408
 *
 * Mutex and `taken` fill one cache line. That line moves from CPU to CPU with every lease; the next one, only with
 * every tick.
 *
 * Any change of this layout, or of what a field means, takes a new version in `pool_header.ts`.
 *
 * @module
 */
import { type Libc, systemError } from "../libc/libc.ts";
import { MAX_ATTEMPTS } from "../reservation/attempt_log.ts";
import { HEADER_BYTES } from "./pool_header.ts";
import { MUTEX_BYTES, RobustMutex } from "./robust_mutex.ts";
import { PLACE_WORDS, SECRET_WORDS, SOURCE_PLACES, type SourceMemory } from "./source_memory.ts";

const MUTEX = HEADER_BYTES;
const WORDS = MUTEX + MUTEX_BYTES;
const NOTED = WORDS + 6 * 8;
const SOURCES_MUTEX = 1152;
const SOURCES_TICK = SOURCES_MUTEX + MUTEX_BYTES;
const SECRET = SOURCES_TICK + 8;
const ATTEMPTS = 4096;
/** The length of an attempt, in bytes: see `uniqueToken`. */
export const ATTEMPT_BYTES = 32;
const COUNTS = ATTEMPTS + MAX_ATTEMPTS * ATTEMPT_BYTES;
const WORD_COUNT = 6;
/** How many workers have counts of their own. */
export const MAX_WORKERS = 1024;
/** How many counts a worker has: two cache lines. */
export const COUNT_WORDS = 16;
const SOURCES = COUNTS + MAX_WORKERS * COUNT_WORDS * 8;

/** The length of a pool's memory, in bytes. */
export const POOL_BYTES = SOURCES + SOURCE_PLACES * PLACE_WORDS * 4;

/** The index of each field in the pool's words; of `taken` and `tick`, that of slot 0, before that of slot 1. */
export const WORD = { taken: 0, tick: 2, mark: 4, owner: 5 } as const;

/** As <sys/mman.h> has them on Linux. */
const PROT_READ_WRITE = 3;
const MAP_SHARED = 1;
const MAP_FAILED = 2n ** 64n - 1n;

/** The memory of a pool in the address space of this process. */
export interface PoolMemory {
  /** The header: see `pool_header.ts`. */
  readonly header: Uint8Array<ArrayBuffer>;
  /** Protects the words. */
  readonly mutex: RobustMutex;
  /**
   * The words between mutex and padding: 64-bit floating point, since they hold integers of 53 bits without allocating.
   */
  readonly words: Float64Array<ArrayBuffer>;
  /** The numbers of the first attempt noted, and of the next one. */
  readonly noted: Float64Array<ArrayBuffer>;
  /** The attempts, {@linkcode ATTEMPT_BYTES} each. */
  readonly attempts: Uint8Array<ArrayBuffer>;
  /** The counts of all workers, {@linkcode COUNT_WORDS} each. */
  readonly counts: Float64Array<ArrayBuffer>;
  /** Protects the counts of the sources. */
  readonly sourcesMutex: RobustMutex;
  /** Where the ids of the sources are counted. */
  readonly sources: Omit<SourceMemory, "lock" | "unlock">;
  /** Unmaps the memory. Nothing of it must be used afterwards. */
  unmap(): void;
}

/**
 * Maps a pool's memory.
 *
 * @param libc The functions that map it.
 * @param fd A file of {@linkcode POOL_BYTES}.
 * @throws {Error} If it cannot be mapped.
 */
export function mapPoolMemory(libc: Libc, fd: number): PoolMemory {
  const memory = libc.mmap(null, BigInt(POOL_BYTES), PROT_READ_WRITE, MAP_SHARED, fd, 0n);
  if (memory === null || Deno.UnsafePointer.value(memory) === MAP_FAILED) {
    throw systemError(libc, "cannot map the pool of the node");
  }
  const buffer = Deno.UnsafePointerView.getArrayBuffer(memory, POOL_BYTES) as ArrayBuffer;
  return {
    header: new Uint8Array(buffer, 0, HEADER_BYTES),
    mutex: new RobustMutex(libc, Deno.UnsafePointer.offset(memory, MUTEX)),
    words: new Float64Array(buffer, WORDS, WORD_COUNT),
    noted: new Float64Array(buffer, NOTED, 2),
    attempts: new Uint8Array(buffer, ATTEMPTS, MAX_ATTEMPTS * ATTEMPT_BYTES),
    counts: new Float64Array(buffer, COUNTS, MAX_WORKERS * COUNT_WORDS),
    sourcesMutex: new RobustMutex(libc, Deno.UnsafePointer.offset(memory, SOURCES_MUTEX)),
    sources: {
      tick: new Float64Array(buffer, SOURCES_TICK, 1),
      secret: new Uint32Array(buffer, SECRET, SECRET_WORDS),
      places: new Uint32Array(buffer, SOURCES, SOURCE_PLACES * PLACE_WORDS),
    },
    unmap: () => void libc.munmap(memory, BigInt(POOL_BYTES)),
  };
}
