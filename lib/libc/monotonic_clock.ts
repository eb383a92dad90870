import { openLibc, systemError } from "./libc.ts";

const CLOCK_MONOTONIC = 1;

/**
 * Reads the clock that counts from the machine's start.
 *
 * @returns Its time in us.
 * @throws {Error} If libc is out of reach: see `openLibc`.
 */
export function monotonicUsec(): bigint {
  const libc = openLibc();
  const [seconds, nanoseconds] = [0, 1];
  const time = new BigInt64Array(2); // struct timespec { time_t tv_sec; long tv_nsec; }
  if (libc.clock_gettime(CLOCK_MONOTONIC, time) !== 0) throw systemError(libc, "cannot read the monotonic clock");
  return time[seconds] * 1_000_000n + time[nanoseconds] / 1000n;
}
