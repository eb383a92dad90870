const CLOCK_MONOTONIC = 1;

const { symbols: libc } = Deno.dlopen("libc.so.6", {
  clock_gettime: { parameters: ["i32", "buffer"], result: "i32" },
});
/** `struct timespec`, of two 64-bit integers: s and ns. */
const timespec = new Uint32Array(4);

/**
 * The time since the system was started, in ns: of one clock for all processes, which never steps. (`performance` has
 * one a process.)
 */
export function monotonicNs(): number {
  libc.clock_gettime(CLOCK_MONOTONIC, timespec);
  return timespec[0] * 1e9 + timespec[2];
}
