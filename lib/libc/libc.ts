/** The functions of libc for which Deno has no API, in the form that `Deno.dlopen` takes. */
const SYMBOLS = {
  socket: { parameters: ["i32", "i32", "i32"], result: "i32" },
  setsockopt: { parameters: ["i32", "i32", "i32", "buffer", "u32"], result: "i32" },
  getsockopt: { parameters: ["i32", "i32", "i32", "buffer", "buffer"], result: "i32" },
  connect: { parameters: ["i32", "buffer", "u32"], result: "i32" },
  bind: { parameters: ["i32", "buffer", "u32"], result: "i32" },
  getsockname: { parameters: ["i32", "buffer", "buffer"], result: "i32" },
  recvmsg: { parameters: ["i32", "pointer", "i32"], result: "i32" },
  recvmmsg: { parameters: ["i32", "pointer", "u32", "i32", "pointer"], result: "i32" },
  sendto: { parameters: ["i32", "pointer", "u32", "i32", "pointer", "u32"], result: "i32" },
  send: { parameters: ["i32", "buffer", "usize", "i32"], result: "isize" },
  sendmsg: { parameters: ["i32", "pointer", "i32"], result: "i32" },
  sendmmsg: { parameters: ["i32", "pointer", "u32", "i32"], result: "i32" },
  poll: { parameters: ["buffer", "u64", "i32"], result: "i32", nonblocking: true },
  /** The same without a wait, in this thread. */
  pollNow: { name: "poll", parameters: ["buffer", "u64", "i32"], result: "i32" },
  shutdown: { parameters: ["i32", "i32"], result: "i32" },
  sched_yield: { parameters: [], result: "i32" },
  open: { parameters: ["buffer", "i32", "u32"], result: "i32" },
  read: { parameters: ["i32", "buffer", "usize"], result: "isize" },
  statx: { parameters: ["i32", "buffer", "i32", "u32", "buffer"], result: "i32" },
  rename: { parameters: ["buffer", "buffer"], result: "i32" },
  unlink: { parameters: ["buffer"], result: "i32" },
  getrandom: { parameters: ["buffer", "usize", "u32"], result: "isize" },
  geteuid: { parameters: [], result: "u32" },
  adjtimex: { parameters: ["buffer"], result: "i32" },
  memfd_create: { parameters: ["buffer", "u32"], result: "i32" },
  posix_fallocate: { parameters: ["i32", "i64", "i64"], result: "i32" },
  mmap: { parameters: ["pointer", "usize", "i32", "i32", "i32", "i64"], result: "pointer" },
  munmap: { parameters: ["pointer", "usize"], result: "i32" },
  close: { parameters: ["i32"], result: "i32" },
  prctl: { parameters: ["i32", "u64", "u64", "u64", "u64"], result: "i32" },
  syscall: { parameters: ["i64", "i64", "i64", "buffer"], result: "i64" },
  strerror: { parameters: ["i32"], result: "pointer" },
  __errno_location: { parameters: [], result: "pointer" },
  pthread_mutexattr_init: { parameters: ["buffer"], result: "i32" },
  pthread_mutexattr_setpshared: { parameters: ["buffer", "i32"], result: "i32" },
  pthread_mutexattr_setrobust: { parameters: ["buffer", "i32"], result: "i32" },
  pthread_mutex_init: { parameters: ["pointer", "buffer"], result: "i32" },
  pthread_mutex_trylock: { parameters: ["pointer"], result: "i32" },
  pthread_mutex_lock: { parameters: ["pointer"], result: "i32" },
  /** Since glibc 2.30. */
  pthread_mutex_clocklock: { parameters: ["pointer", "i32", "buffer"], result: "i32", optional: true },
  clock_gettime: { parameters: ["i32", "buffer"], result: "i32" },
  pthread_mutex_unlock: { parameters: ["pointer"], result: "i32" },
  pthread_mutex_consistent: { parameters: ["pointer"], result: "i32" },
} as const;

/** The functions of libc by their names. */
export type Libc = Deno.DynamicLibrary<typeof SYMBOLS>["symbols"];

/**
 * A library that gives access to all of these functions. Until glibc 2.33, it has the functions of POSIX threads and
 * depends on libc. Since 2.34, libc has them, and the library is empty.
 */
const LIBRARY = "libpthread.so.0";

/** The numbers of errors and options that this project uses, which Linux has on x86-64 and on ARM64. */
export const linux = {
  AF_INET: 2,
  AF_INET6: 10,
  SOCK_DGRAM: 2,
  SOCK_CLOEXEC: 0o2000000,
  SOL_IP: 0,
  IP_PKTINFO: 8,
  SOL_IPV6: 41,
  IPV6_RECVPKTINFO: 49,
  IPV6_PKTINFO: 50,
  SOL_SOCKET: 1,
  SO_SNDBUF: 7,
  SO_RCVBUF: 8,
  SO_REUSEPORT: 15,
  SO_RCVTIMEO: 20,
  SO_SNDTIMEO: 21,
  SO_INCOMING_CPU: 49,
  SO_MEMINFO: 55,
  SOL_UDP: 17,
  UDP_SEGMENT: 103,
  UDP_GRO: 104,
  MSG_DONTWAIT: 0x40,
  MSG_WAITFORONE: 0x10000,
  POLLIN: 1,
  POLLOUT: 4,
  SHUT_RD: 0,
  EACCES: 13,
  EADDRINUSE: 98,
} as const;

let libc: Libc | undefined;

/**
 * Opens libc. The first call does; the library stays open.
 *
 * This needs the permission `--allow-ffi` without a path. `UnsafePointer` needs it, and the path of libc would not
 * narrow it.
 *
 * @returns The functions.
 * @throws {Deno.errors.NotCapable} If the permission `--allow-ffi` is missing.
 * @throws {Deno.errors.NotSupported} If this is not Linux, or there is no glibc.
 */
export function openLibc(): Libc {
  if (libc !== undefined) return libc;
  if (Deno.build.os !== "linux") {
    throw new Deno.errors.NotSupported(`reuseport sockets need Linux, and this is ${Deno.build.os}`);
  }
  try {
    return libc = Deno.dlopen(LIBRARY, SYMBOLS).symbols;
  } catch (error) {
    if (error instanceof Deno.errors.NotCapable) throw error;
    throw new Deno.errors.NotSupported(`reuseport sockets need glibc, and ${LIBRARY} cannot be loaded`, {
      cause: error,
    });
  }
}

/**
 * Returns the number of the last call's error: a hint, never a fact. A call of its own reads the number, and between
 * the two calls the runtime may make a system call on the same thread that fails for a reason of its own. So this
 * number decides nothing. It only explains a failure to people.
 */
export function errno(libc: Libc): number {
  return new Deno.UnsafePointerView(nonNull(libc.__errno_location())).getInt32();
}

/** Encodes a text as a C string, with a zero byte at its end. */
export function cString(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(text + "\0");
}

/** Returns the system's message for an error's number. */
export function systemMessage(libc: Libc, code: number): string {
  return Deno.UnsafePointerView.getCString(nonNull(libc.strerror(code)));
}

/** Both functions that return a pointer here never return null. */
function nonNull(pointer: Deno.PointerValue): Deno.PointerObject {
  if (pointer === null) throw new TypeError("libc returned a null pointer where its standard rules one out");
  return pointer;
}

/**
 * Makes an error for the last call, which failed. The reason in its message is only probable: see {@linkcode errno}.
 *
 * @param libc The functions of libc.
 * @param failure The beginning of the message: `"cannot make a socket"`.
 */
export function systemError(libc: Libc, failure: string): Error {
  return new Error(`${failure} (probably: ${systemMessage(libc, errno(libc))})`);
}
