/**
 * What a worker keeps of its rights once it has all that it serves with: its socket, its part of the node, its modules.
 *
 * FFI reaches every function of libc, and so all that the worker's user may do, whatever the permissions of Deno say.
 * So the kernel takes from the worker all system calls but those of this list (seccomp(2)), in all of its threads and
 * for good. It cannot open, make, change or remove a file, run a program, become another process, make a socket or
 * accept a connection, look into or signal another process. It keeps its own memory, the pool, its UDP socket, and its
 * ends of the control channel. A refused call fails with EPERM, so that a runtime that tries one can go on without.
 *
 * A file that is mapped into memory is written to without any call. The runtime has the databases of its caches there,
 * which all Deno processes of the user share. So the worker puts memory of its own in their place. The runtime does not
 * miss them: to use a database, it must lock it, which is a call that is not on the list.
 *
 * The list is of what a worker was seen to call, and of a few that its parts call more seldom: the runtime, its
 * allocator, libc's threads. A call that is missing here costs what it was for; one too many would be a right.
 *
 * Landlock adds nothing to this list, and reaches all threads of a process from Linux 7.0 on only.
 *
 * @module
 */
import { messageOf } from "../base/message_of.ts";
import { type Libc, linux, openLibc } from "../libc/libc.ts";
import { MemoryMap } from "../libc/memory_map.ts";
import { streamDescriptors } from "../libc/stream_descriptors.ts";
import { type AllowedCall, type ArgumentRule, filterSystemCalls } from "../libc/system_call_filter.ts";
import type { ServeLog } from "./serve_log.ts";

/** The number of a call on x86-64 and on ARM64, which has fewer. */
type Numbers = readonly [x64: number, arm64?: number];

/** The calls that are allowed whatever their arguments. */
const FREE = {
  // The socket. `connect` takes it out of its port's group; there is no other socket that could be connected.
  recvfrom: [45, 207],
  recvmsg: [47, 212],
  recvmmsg: [299, 243],
  sendto: [44, 206],
  sendmsg: [46, 211],
  sendmmsg: [307, 269],
  connect: [42, 203],
  getsockopt: [55, 209],
  shutdown: [48, 210],
  // The control channel and the event loop.
  read: [0, 63],
  readv: [19, 65],
  close: [3, 57],
  poll: [7],
  ppoll: [271, 73],
  epoll_ctl: [233, 21],
  epoll_wait: [232],
  epoll_pwait: [281, 22],
  epoll_pwait2: [441, 441],
  // Memory, which V8 also fills with the code that it compiles.
  brk: [12, 214],
  madvise: [28, 233],
  membarrier: [324, 283],
  mprotect: [10, 226],
  mremap: [25, 216],
  munmap: [11, 215],
  pkey_mprotect: [329, 288],
  // Threads of this process, and its end.
  exit: [60, 93],
  exit_group: [231, 94],
  futex: [202, 98],
  getpid: [39, 172],
  gettid: [186, 178],
  restart_syscall: [219, 128],
  rseq: [334, 293],
  rt_sigaction: [13, 134],
  rt_sigprocmask: [14, 135],
  rt_sigreturn: [15, 139],
  sched_getaffinity: [204, 123],
  sched_getparam: [143, 121],
  sched_getscheduler: [145, 120],
  sched_yield: [24, 124],
  set_robust_list: [273, 99],
  sigaltstack: [131, 132],
  // Time and chance.
  clock_getres: [229, 114],
  clock_gettime: [228, 113],
  clock_nanosleep: [230, 115],
  getrandom: [318, 278],
  getrusage: [98, 165],
  gettimeofday: [96, 169],
  nanosleep: [35, 101],
} satisfies Record<string, Numbers>;

/** The calls that are allowed with some arguments only. */
const LIMITED = {
  clone: [56, 220],
  fcntl: [72, 25],
  mmap: [9, 222],
  prctl: [157, 167],
  setsockopt: [54, 208],
  tgkill: [234, 131],
  write: [1, 64],
  writev: [20, 66],
} satisfies Record<string, Numbers>;

/** The flags of this call lie in memory, where no filter sees them. Without it, libc starts threads with `clone`. */
const CLONE3 = 435;

/**
 * The flags with which libc starts a thread: CLONE_VM, FS, FILES, SIGHAND, THREAD, SYSVSEM, SETTLS, PARENT_SETTID, and
 * CHILD_CLEARTID. A process has others.
 */
const CLONE_THREAD_FLAGS = 0x3d0f00;

const NO_FILE = -1;
const STDIN = 0;
const F_GETFD = 1;
const F_SETFD = 2;
const F_GETFL = 3;
const F_SETFL = 4;
const F_DUPFD_CLOEXEC = 1030;
const PR_SET_NAME = 15;
const PR_SET_VMA = 0x53564d41;

/**
 * Gives up what this process needs no more. To be called by a worker that has bound its socket, joined the pool and
 * loaded its modules.
 *
 * @param kept Views of the memory that it goes on to share with other processes.
 * @param libc The functions of libc.
 * @returns Why something was not given up; `undefined` if all was.
 */
export function confineWorker(
  kept: readonly ArrayBufferView<ArrayBuffer>[],
  libc: Libc = openLibc(),
): string | undefined {
  try {
    using memory = new MemoryMap(libc);
    filterSystemCalls(libc, { allowed: allowedCalls(streamDescriptors(libc)), absent: [CLONE3] });
    // No file can be mapped from here on, so nothing is missed.
    memory.unshare(kept);
    return undefined;
  } catch (error) {
    return messageOf(error);
  }
}

/** Tells the operator once that workers could not be confined, since all of them run on the same kernel. */
export function warnIfUnconfined({ unconfined }: { readonly unconfined: string | undefined }, log: ServeLog): void {
  if (unconfined === undefined) return;
  log.warn(`the workers keep all rights of their user, since this system does not let them give any up: ${unconfined}`);
}

/** All calls of this architecture that a worker keeps. */
function allowedCalls(streams: readonly number[]): AllowedCall[] {
  const only = (argument: number, ...values: number[]): ArgumentRule => ({ argument, values });
  return [
    ...Object.values(FREE).flatMap((numbers) => call(numbers)),
    ...call(LIMITED.clone, only(0, CLONE_THREAD_FLAGS)),
    ...call(LIMITED.fcntl, only(1, F_GETFD, F_SETFD, F_GETFL, F_SETFL)),
    // The runtime reads a duplicate of stdin. A duplicate of another file could take the number of a stream.
    ...call(LIMITED.fcntl, only(0, STDIN), only(1, F_DUPFD_CLOEXEC)),
    ...call(LIMITED.mmap, only(4, NO_FILE)),
    ...call(LIMITED.prctl, only(0, PR_SET_NAME, PR_SET_VMA)),
    ...call(LIMITED.setsockopt, only(1, linux.SOL_SOCKET), only(2, linux.SO_INCOMING_CPU)),
    ...call(LIMITED.tgkill, only(0, Deno.pid)), // `abort` signals its own thread
    ...call(LIMITED.write, only(0, ...streams)),
    ...call(LIMITED.writev, only(0, ...streams)),
  ];
}

function call([x64, arm64]: Numbers, ...where: ArgumentRule[]): AllowedCall[] {
  const number = Deno.build.arch === "aarch64" ? arm64 : x64;
  return number === undefined ? [] : [{ number, where }];
}
