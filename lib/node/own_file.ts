import { GlobalIdError } from "../base/errors.ts";
import { cString, errno, type Libc, linux, systemError, systemMessage } from "../libc/libc.ts";

/** As <fcntl.h>, <sys/stat.h> and <sys/mman.h> have them on Linux, on x86-64 and on ARM64. */
const O_RDWR = 2;
const O_CREAT = 0o100;
const O_EXCL = 0o200;
const O_NONBLOCK = 0o4000;
const O_NOFOLLOW = Deno.build.arch === "aarch64" ? 0o100000 : 0o400000;
const O_CLOEXEC = 0o2000000;
const AT_EMPTY_PATH = 0x1000;
const STATX_BASIC_STATS = 0x7ff;
const REGULAR_FILE_OF_ITS_OWNER = 0o100600; // S_IFREG, read and write for its owner, nothing for anybody else
const MFD_CLOEXEC = 1;

/** `struct statx`: its size, and offsets of its fields, in bytes. It is the same on all kinds of machines. See statx(2). */
const STATX_BYTES = 256;
const statx = { nlink: 16, uid: 20, mode: 28, size: 40 } as const;

/** What lies at the path is not a file that this user made here, so nothing in it is to be believed. */
export class ForeignFileError extends GlobalIdError {
  /** The name of the class. */
  override name = "ForeignFileError";
}

/**
 * Opens a file of which this user alone can have written every byte, in a directory that others may write to as well.
 *
 * @param libc The functions it is opened with.
 * @param path The file.
 * @returns Its file descriptor and its length; `undefined` if there is no file.
 * @throws {ForeignFileError} If it is a link, not a regular file, another user's, open to others, or known by a further name.
 */
export function openOwnFile(libc: Libc, path: string): { fd: number; bytes: number } | undefined {
  // Not to block: what is no file may be a pipe that somebody else has laid there.
  const fd = libc.open(cString(path), O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0);
  if (fd < 0) {
    const code = errno(libc);
    if (code === linux.ENOENT) return undefined;
    throw new ForeignFileError(`${path} cannot be opened: ${systemMessage(libc, code)}`);
  }
  const buffer = new Uint8Array(STATX_BYTES);
  const status = new DataView(buffer.buffer);
  const isKnown = libc.statx(fd, cString(""), AT_EMPTY_PATH, STATX_BASIC_STATS, buffer) === 0;
  const why = isKnown ? whyForeign(libc, status) : "cannot be looked at";
  if (why === undefined) return { fd, bytes: Number(status.getBigUint64(statx.size, true)) };
  libc.close(fd);
  throw new ForeignFileError(`${path} ${why}`);
}

/** Why a file is not one that this user alone can have written; `undefined` if it is. */
function whyForeign(libc: Libc, status: DataView): string | undefined {
  const owner = status.getUint32(statx.uid, true);
  const mode = status.getUint16(statx.mode, true);
  if (owner !== libc.geteuid()) return `belongs to user ${owner}`;
  if (mode !== REGULAR_FILE_OF_ITS_OWNER) return `has the mode ${mode.toString(8)} instead of 100600`;
  return status.getUint32(statx.nlink, true) === 1 ? undefined : "has more than one name, or none";
}

/** A file that this process has made. */
export interface NewFile {
  /** Its file descriptor. */
  readonly fd: number;
  /** Puts it at its path, in place of an older file; whoever has that one keeps it. Throws if that cannot be. */
  put(): void;
  /** Closes it, instead of putting it anywhere. */
  discard(): void;
}

/**
 * Makes a file of zeros that is not at its path until it is complete and put there.
 *
 * @param libc The functions it is made with.
 * @param path Where it is to be. Beside it, at `PATH.new`, it lies meanwhile, in place of what an earlier process has left there.
 * @param bytes Its length.
 * @throws {Error} If it cannot be made.
 */
export function createOwnFile(libc: Libc, path: string, bytes: number): NewFile {
  const draft = cString(`${path}.new`);
  libc.unlink(draft);
  const fd = libc.open(draft, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o600);
  if (fd < 0) throw systemError(libc, `cannot make ${path}.new`);
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
 * Makes a file of zeros that has no path: it is gone with the last process that has it.
 *
 * @param libc The functions it is made with.
 * @param bytes Its length.
 * @throws {Error} If it cannot be made.
 */
export function createUnnamedFile(libc: Libc, bytes: number): NewFile {
  const fd = libc.memfd_create(cString("global-id"), MFD_CLOEXEC);
  if (fd < 0) throw systemError(libc, "cannot make memory to share");
  allocate(libc, fd, bytes);
  return { fd, put: () => {}, discard: () => void libc.close(fd) };
}

/** Takes all of the room now: where there is none, whoever writes to mapped memory later is killed. */
function allocate(libc: Libc, fd: number, bytes: number): void {
  const code = libc.posix_fallocate(fd, 0n, BigInt(bytes));
  if (code === 0) return;
  libc.close(fd);
  throw new Error(`there is no room for ${bytes} bytes of shared memory: ${systemMessage(libc, code)}`);
}
