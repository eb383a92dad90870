import { GlobalIdError } from "../base/errors.ts";
import { cString, type Libc, systemError, systemMessage } from "../libc/libc.ts";

/** As <fcntl.h>, <sys/stat.h> and <sys/mman.h> have them on Linux, on x86-64 and on ARM64. */
const O_RDWR = 2;
const O_CREAT = 0o100;
const O_EXCL = 0o200;
const O_NONBLOCK = 0o4000;
const O_NOFOLLOW = Deno.build.arch === "aarch64" ? 0o100000 : 0o400000;
const O_CLOEXEC = 0o2000000;
const AT_EMPTY_PATH = 0x1000;
const AT_SYMLINK_NOFOLLOW = 0x100;
const AT_FDCWD = -100;
const STATX_BASIC_STATS = 0x7ff;
const REGULAR_FILE_OF_ITS_OWNER = 0o100600; // S_IFREG, read and write for its owner, nothing for anybody else
const MFD_CLOEXEC = 1;

/**
 * Size and offsets, in bytes, the same on all architectures (statx(2)), of
 *
 *     struct statx {
 *       __u32 stx_mask, stx_blksize;
 *       __u64 stx_attributes;
 *       __u32 stx_nlink;  // 16
 *       __u32 stx_uid;    // 20
 *       __u32 stx_gid;
 *       __u16 stx_mode;   // 28
 *       __u64 stx_ino;
 *       __u64 stx_size;   // 40
 *       …
 *     };
 */
const STATX_BYTES = 256;
const statx = { nlink: 16, uid: 20, mode: 28, size: 40 } as const;
const LITTLE_ENDIAN = true;

/** The file at a path is not this user's alone, so its content cannot be trusted; the message says why. */
export class ForeignFileError extends GlobalIdError {
  /** The name of the class. */
  override name = "ForeignFileError";
}

/** What to do about a file that is in the way. */
const REMOVE = "remove it, as its owner or as root";

/** How often to try to open a file: another process may put one at the path between a try and a look. */
const TRIES = 3;

/** An open file. */
export interface OwnFile {
  /** The file descriptor. */
  readonly fd: number;
  /** The length of the file. */
  readonly bytes: number;
}

/**
 * Opens a file that nobody but this user can have written, in a directory that others may write to as well.
 *
 * @param libc The functions that open it.
 * @param path The path of the file.
 * @returns The file; `undefined` if there is none.
 * @throws {ForeignFileError} If the path leads to a link, to no regular file, to another user's, to one that others may
 * open, or to one with a second name.
 */
export function openOwnFile(libc: Libc, path: string): OwnFile | undefined {
  const fd = tryToOpen(libc, path);
  if (fd === undefined) return undefined;
  const buffer = new Uint8Array(STATX_BYTES);
  const status = new DataView(buffer.buffer);
  const isKnown = libc.statx(fd, cString(""), AT_EMPTY_PATH, STATX_BASIC_STATS, buffer) === 0;
  const why = isKnown ? whyForeign(libc, status) : "cannot be looked at";
  if (why === undefined) return { fd, bytes: Number(status.getBigUint64(statx.size, LITTLE_ENDIAN)) };
  libc.close(fd);
  throw new ForeignFileError(`${path} ${why}: ${REMOVE}`);
}

/**
 * Opens a file.
 *
 * @returns The file descriptor; `undefined` if there is no file.
 * @throws {ForeignFileError} If there is something that cannot be opened.
 */
function tryToOpen(libc: Libc, path: string): number | undefined {
  for (let tries = 1;; tries++) {
    // O_NONBLOCK, since another user may have put a pipe there.
    const fd = libc.open(cString(path), O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0);
    if (fd >= 0) return fd;
    const { message } = systemError(libc, `${path} cannot be opened`);
    if (isAbsent(libc, path)) return undefined;
    if (tries === TRIES) throw new ForeignFileError(`${message}: ${REMOVE}`);
  }
}

/** Whether a path leads to nothing: its directory can be searched and does not have it, or is absent itself. */
function isAbsent(libc: Libc, path: string): boolean {
  if (exists(libc, path)) return false;
  const directory = path.slice(0, Math.max(path.lastIndexOf("/"), 0));
  return exists(libc, `${directory}/.`) || (directory !== "" && isAbsent(libc, directory));
}

/** Whether something is at a path, as far as this process may know. */
function exists(libc: Libc, path: string): boolean {
  const status = new Uint8Array(STATX_BYTES);
  return libc.statx(AT_FDCWD, cString(path), AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS, status) === 0;
}

/** Why others than this user can have written a file; `undefined` if they cannot. */
function whyForeign(libc: Libc, status: DataView): string | undefined {
  const owner = status.getUint32(statx.uid, LITTLE_ENDIAN);
  const mode = status.getUint16(statx.mode, LITTLE_ENDIAN);
  if (owner !== libc.geteuid()) return `belongs to user ${owner}`;
  if (mode !== REGULAR_FILE_OF_ITS_OWNER) return `has the mode ${mode.toString(8)} instead of 100600`;
  return status.getUint32(statx.nlink, LITTLE_ENDIAN) === 1 ? undefined : "has more than one name, or none";
}

/** A file that this process has made. */
export interface NewFile {
  /** The file descriptor. */
  readonly fd: number;
  /**
   * Puts the file at its path, in place of an older one. Processes that have the older one open keep it.
   *
   * @throws {Error} If it cannot be put there.
   */
  put(): void;
  /** Closes the file, instead of putting it at its path. */
  discard(): void;
}

/**
 * Makes a file of zeros that is put at its path later, once it is complete. Until then it lies at `PATH.new`, in place
 * of a file that an earlier process has left there.
 *
 * @param libc The functions that make it.
 * @param path The path of the file.
 * @param bytes The length of the file.
 * @throws {Error} If it cannot be made.
 */
export function createOwnFile(libc: Libc, path: string, bytes: number): NewFile {
  const draft = cString(`${path}.new`);
  libc.unlink(draft);
  const fd = libc.open(draft, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o600);
  if (fd < 0) {
    const { message } = systemError(libc, `cannot make ${path}.new`);
    throw new Error(exists(libc, `${path}.new`) ? `${message}: ${REMOVE}` : message);
  }
  allocate(libc, fd, bytes);
  return {
    fd,
    put: () => {
      if (libc.rename(draft, cString(path)) !== 0) throw systemError(libc, `cannot put a file at ${path}`);
    },
    discard: () => {
      libc.unlink(draft);
      libc.close(fd);
    },
  };
}

/**
 * Makes a file of zeros without a path. It is gone when the last process that has it open ends.
 *
 * @param libc The functions that make it.
 * @param bytes The length of the file.
 * @throws {Error} If it cannot be made.
 */
export function createUnnamedFile(libc: Libc, bytes: number): NewFile {
  const fd = libc.memfd_create(cString("global-id"), MFD_CLOEXEC);
  if (fd < 0) throw systemError(libc, "cannot make memory to share");
  allocate(libc, fd, bytes);
  return { fd, put: () => {}, discard: () => void libc.close(fd) };
}

/** Allocates the whole file: the kernel kills a process that writes to mapped memory for which there is no room. */
function allocate(libc: Libc, fd: number, bytes: number): void {
  const code = libc.posix_fallocate(fd, 0n, BigInt(bytes));
  if (code === 0) return;
  libc.close(fd);
  throw new Error(`there is no room for ${bytes} bytes of shared memory: ${systemMessage(libc, code)}`);
}
