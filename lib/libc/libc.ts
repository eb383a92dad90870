/** The functions of libc that Deno has no API for, as `Deno.dlopen` wants them described. */
const SYMBOLS = {
  socket: { parameters: ["i32", "i32", "i32"], result: "i32" },
  setsockopt: { parameters: ["i32", "i32", "i32", "buffer", "u32"], result: "i32" },
  connect: { parameters: ["i32", "buffer", "u32"], result: "i32" },
  bind: { parameters: ["i32", "buffer", "u32"], result: "i32" },
  getsockname: { parameters: ["i32", "buffer", "buffer"], result: "i32" },
  recvmsg: { parameters: ["i32", "pointer", "i32"], result: "i32" },
  recvmmsg: { parameters: ["i32", "pointer", "u32", "i32", "pointer"], result: "i32" },
  sendto: { parameters: ["i32", "pointer", "u32", "i32", "pointer", "u32"], result: "i32" },
  sendmmsg: { parameters: ["i32", "pointer", "u32", "i32"], result: "i32" },
  poll: { parameters: ["buffer", "u64", "i32"], result: "i32", nonblocking: true },
  shutdown: { parameters: ["i32", "i32"], result: "i32" },
  sched_yield: { parameters: [], result: "i32" },
  open: { parameters: ["buffer", "i32", "u32"], result: "i32" },
  read: { parameters: ["i32", "buffer", "usize"], result: "isize" },
  statx: { parameters: ["i32", "buffer", "i32", "u32", "buffer"], result: "i32" },
  rename: { parameters: ["buffer", "buffer"], result: "i32" },
  unlink: { parameters: ["buffer"], result: "i32" },
  geteuid: { parameters: [], result: "u32" },
  adjtimex: { parameters: ["buffer"], result: "i32" },
  memfd_create: { parameters: ["buffer", "u32"], result: "i32" },
  posix_fallocate: { parameters: ["i32", "i64", "i64"], result: "i32" },
  mmap: { parameters: ["pointer", "usize", "i32", "i32", "i32", "i64"], result: "pointer" },
  munmap: { parameters: ["pointer", "usize"], result: "i32" },
  close: { parameters: ["i32"], result: "i32" },
  strerror: { parameters: ["i32"], result: "pointer" },
  __errno_location: { parameters: [], result: "pointer" },
  pthread_mutexattr_init: { parameters: ["buffer"], result: "i32" },
  pthread_mutexattr_setpshared: { parameters: ["buffer", "i32"], result: "i32" },
  pthread_mutexattr_setrobust: { parameters: ["buffer", "i32"], result: "i32" },
  pthread_mutex_init: { parameters: ["pointer", "buffer"], result: "i32" },
  pthread_mutex_trylock: { parameters: ["pointer"], result: "i32" },
  pthread_mutex_lock: { parameters: ["pointer"], result: "i32" },
  pthread_mutex_unlock: { parameters: ["pointer"], result: "i32" },
  pthread_mutex_consistent: { parameters: ["pointer"], result: "i32" },
} as const;

/** libc's functions by their names. */
export type Libc = Deno.DynamicLibrary<typeof SYMBOLS>["symbols"];

/**
 * A library through which all of them are found: in glibc of old, the functions of POSIX threads have a library of their own,
 * which depends on libc; since 2.34, it is an empty one that is kept for programs like this.
 */
const LIBRARY = "libpthread.so.0";

/** The numbers of errors and options that this project uses, as Linux has them on x86-64 and on ARM64. */
export const linux = {
  AF_INET: 2,
  AF_INET6: 10,
  SOCK_DGRAM: 2,
  SOCK_CLOEXEC: 0o2000000,
  SOL_SOCKET: 1,
  SO_RCVBUF: 8,
  SO_REUSEPORT: 15,
  SO_RCVTIMEO: 20,
  SO_SNDTIMEO: 21,
  SO_INCOMING_CPU: 49,
  SOL_UDP: 17,
  UDP_SEGMENT: 103,
  UDP_GRO: 104,
  MSG_DONTWAIT: 0x40,
  MSG_WAITFORONE: 0x10000,
  POLLIN: 1,
  SHUT_RD: 0,
  ENOENT: 2,
  EINTR: 4,
  EIO: 5,
  EAGAIN: 11,
  EACCES: 13,
  EINVAL: 22,
  ECONNREFUSED: 111,
  EADDRINUSE: 98,
  EADDRNOTAVAIL: 99,
} as const;

let libc: Libc | undefined;

/**
 * Opens libc; the first call does, and the library stays open.
 *
 * It takes the whole permission `--allow-ffi`: Deno wants it for `UnsafePointer`, and one library's path would not be
 * narrower where that library is libc.
 *
 * @throws {Deno.errors.NotCapable} If the permission `--allow-ffi` is missing.
 * @throws {Deno.errors.NotSupported} If this is not Linux, or there is no glibc.
 */
export function openLibc(): Libc {
  if (libc !== undefined) return libc;
  if (Deno.build.os !== "linux") {
    throw new Deno.errors.NotSupported(`reuseport sockets are for Linux, and this is ${Deno.build.os}`);
  }
  try {
    return libc = Deno.dlopen(LIBRARY, SYMBOLS).symbols;
  } catch (error) {
    if (error instanceof Deno.errors.NotCapable) throw error;
    throw new Deno.errors.NotSupported(`reuseport sockets need glibc, and there is no ${LIBRARY} to load`);
  }
}

/** The number of the error that the last call of libc ended with. To be read right after it. */
export function errno(libc: Libc): number {
  return new Deno.UnsafePointerView(libc.__errno_location()!).getInt32();
}

/** A text as C wants it: with a zero at its end. */
export function cString(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(text + "\0");
}

/** What an error's number means, in words. */
export function systemMessage(libc: Libc, code: number): string {
  return Deno.UnsafePointerView.getCString(libc.strerror(code)!);
}

/** An error of the class that Deno itself would throw, for a call that failed. `what` says what was tried. */
export function systemError(libc: Libc, what: string): Error {
  const code = errno(libc);
  const message = `${what}: ${systemMessage(libc, code)}`;
  switch (code) {
    case linux.EADDRINUSE:
      return new Deno.errors.AddrInUse(message);
    case linux.EADDRNOTAVAIL:
      return new Deno.errors.AddrNotAvailable(message);
    case linux.EACCES:
      return new Deno.errors.PermissionDenied(message);
    default:
      return new Error(message);
  }
}
