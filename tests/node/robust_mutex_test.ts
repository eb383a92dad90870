import { assert, assertEquals, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { type Libc, openLibc } from "../../lib/libc/libc.ts";
import { PoolError } from "../../lib/node/pool_header.ts";
import { MUTEX_BYTES, RobustMutex } from "../../lib/node/robust_mutex.ts";

const libc = openLibc();
const EBUSY = 16;
const ETIMEDOUT = 110;

/** A mutex whose holder never unlocks it, with functions of libc that do not really wait. */
function heldMutex(functions: Partial<Libc>): RobustMutex {
  return new RobustMutex({ ...libc, pthread_mutex_trylock: () => EBUSY, ...functions }, null);
}

describe("RobustMutex.lock", () => {
  it("waits until the mutex is unlocked", () => {
    let waits = 0;
    const mutex = heldMutex({ pthread_mutex_clocklock: () => ++waits < 3 ? ETIMEDOUT : 0 });
    mutex.lock();
    assertEquals(waits, 3);
  });

  it("gives up after some seconds, whatever the kernel says of the time", () => {
    const realNow = performance.now;
    let nowMs = 0;
    performance.now = () => nowMs;
    try {
      const mutex = heldMutex({
        pthread_mutex_clocklock: () => {
          nowMs += 100;
          return ETIMEDOUT;
        },
      });
      assertThrows(() => mutex.lock(), PoolError, "the pool cannot be locked: another process does not unlock it");
      assert(nowMs >= 1000 && nowMs <= 10_000, `after ${nowMs} ms`);
    } finally {
      performance.now = realNow;
    }
  });

  it("waits for a second at a time, on a clock that does not step", () => {
    const before = performance.now();
    const memory = new Uint8Array(1024);
    const mutex = new RobustMutex(libc, Deno.UnsafePointer.of(memory));
    mutex.init();
    mutex.lock();
    assertEquals(libc.pthread_mutex_trylock(Deno.UnsafePointer.of(memory)), EBUSY);
    let waits = 0;
    const impatient = new RobustMutex({
      ...libc,
      pthread_mutex_clocklock: (pointer, clock, time) => {
        const code = libc.pthread_mutex_clocklock?.(pointer, clock, time) ?? -1;
        waits++;
        if (waits === 1) mutex.unlock();
        return code;
      },
    }, Deno.UnsafePointer.of(memory));
    impatient.lock();
    impatient.unlock();
    const tookMs = performance.now() - before;
    assert(waits === 2 && tookMs >= 900, `${waits} waits in ${tookMs} ms`);
    assert(memory.length > MUTEX_BYTES);
  });

  it("waits without a limit where libc has none", () => {
    let isLocked = false;
    const mutex = heldMutex({
      pthread_mutex_clocklock: null,
      pthread_mutex_lock: () => {
        isLocked = true;
        return 0;
      },
    });
    mutex.lock();
    assert(isLocked);
  });
});
