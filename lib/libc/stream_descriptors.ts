import { cString, type Libc } from "./libc.ts";

/** As <fcntl.h> and <sys/stat.h> have them on Linux, on x86-64 and on ARM64. */
const AT_EMPTY_PATH = 0x1000;
const STATX_BASIC_STATS = 0x7ff;
const S_IFMT = 0o170000;
const S_IFREG = 0o100000;

/** Size of `struct statx` and offset of its `stx_mode`, in bytes, the same on all architectures (statx(2)). */
const STATX_BYTES = 256;
const STX_MODE = 28;
const LITTLE_ENDIAN = true;

/** The runtime of a process that has just started has some 30 open files. It duplicates some to 251 and up. */
const MAX_DESCRIPTORS = 1024;

/**
 * Lists the open file descriptors of this process that are no regular files: pipes, sockets, and the kernel's own. The
 * runtime has regular files open for writing, too: the databases in which it caches what it has analyzed.
 *
 * @param libc The functions of libc.
 */
export function streamDescriptors(libc: Libc): number[] {
  const status = new DataView(new ArrayBuffer(STATX_BYTES));
  return Array.from({ length: MAX_DESCRIPTORS }, (_, fd) => fd).filter((fd) => {
    const isOpen = libc.statx(fd, cString(""), AT_EMPTY_PATH, STATX_BASIC_STATS, status) === 0;
    return isOpen && (status.getUint16(STX_MODE, LITTLE_ENDIAN) & S_IFMT) !== S_IFREG;
  });
}
