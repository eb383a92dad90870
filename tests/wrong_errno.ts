import { type Libc, openLibc } from "../lib/libc/libc.ts";

/** Numbers that `errno` may have after a call that failed for another reason: no error, and two that never fit. */
export const WRONG_ERRNOS = [0, 2, 105]; // ENOENT, ENOBUFS

/** The functions of libc, after which `errno` is always the same: as if the runtime's own calls had set it. */
export function libcWithErrno(code: number): Libc {
  const cell = new Int32Array(32).fill(code); // so long that it does not move
  return { ...openLibc(), __errno_location: () => Deno.UnsafePointer.of(cell) };
}
