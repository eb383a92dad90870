/**
 * What must be this user's alone, on systems with file modes: a directory, and the files in it. Another user who could
 * write there could repeat ids, or have this user overwrite a file. One who could only read a lock file, or the index
 * of a SQLite database, could lock it, and keep the server from starting or from reserving ticks.
 *
 * A directory that nobody else can write to makes all else simple: what is looked at there stays as it is.
 *
 * @module
 */
import { shellWord } from "../base/shell_word.ts";
import { openLibc } from "../libc/libc.ts";
import { ServeError } from "./serve_error.ts";
import type { ServeLog } from "./serve_log.ts";

/** Bits of a mode. */
const FILE_FOR_OWNER = 0o600;
const FOR_OTHERS = 0o077;
const WRITTEN_BY_OTHERS = 0o022;
const WRITTEN_BY_ALL = 0o002;
/** In a directory with this bit, nobody can rename or remove what is another user's: see chmod(1). */
const STICKY = 0o1000;
const PERMISSIONS = 0o777;

/** What a directory is for, as messages name it, and the flag that chooses another one. */
export interface DirectoryUse {
  /** Its name. */
  readonly name: string;
  /** The flag. */
  readonly flag: string;
}

/** The directory of the locks, and of the database unless another one was chosen. */
export const STATE_DIRECTORY: DirectoryUse = { name: "state directory", flag: "--state" };

/** The directory of a database that was chosen. */
export const STORE_DIRECTORY: DirectoryUse = { name: "store's directory", flag: "--store" };

/**
 * Makes a directory for this user alone, if it is not there; else see {@linkcode checkOwnDirectory}.
 *
 * @returns Its path without links, which nobody else can lead elsewhere.
 */
export async function ensureOwnDirectory(path: string, use: DirectoryUse): Promise<string> {
  await Deno.mkdir(path, { recursive: true, mode: 0o700 });
  return await checkOwnDirectory(path, use);
}

/**
 * Checks that nobody else can put anything into a directory or replace it. Users who may read it may go on to: its
 * files are what counts.
 *
 * @param path The directory.
 * @param use What it is for.
 * @returns Its path without links, which nobody else can lead elsewhere.
 * @throws {ServeError} If it is another user's, or others may write to it; the message has the command that mends it.
 */
export async function checkOwnDirectory(path: string, use: DirectoryUse): Promise<string> {
  if (Deno.build.os === "windows") return path; // a user's directory is the user's alone there
  const directory = await Deno.realPath(path);
  const status = await Deno.stat(directory);
  checkOwner(directory, status, use);
  if (has(status, WRITTEN_BY_OTHERS)) {
    throw new ServeError(
      `other users may write to the ${use.name} ${directory} ${modeOf(status)}: chmod go-w ${shellWord(directory)}`,
    );
  }
  await checkParents(directory, use);
  return directory;
}

/**
 * Checks, as ssh does for its keys, that no other user can put another directory in place of this one: each directory
 * above it belongs to this user or to the system's, and not everybody may write to it, unless it has the sticky bit. It
 * goes up as far as this process is permitted to look (`--allow-read`).
 */
async function checkParents(directory: string, { name, flag }: DirectoryUse): Promise<void> {
  // Not 0 in a container that maps only some users.
  const systemUser = (await Deno.stat("/").catch(unlessNotCapable))?.uid ?? 0;
  for (let parent = directory; parent !== "/";) {
    parent = parentOf(parent);
    const status = await Deno.stat(parent).catch(unlessNotCapable);
    if (status === undefined) return;
    const where = `${parent}, in which the ${name} ${directory} lies`;
    if (status.uid !== systemUser && !isOwn(status)) {
      throw new ServeError(
        `${where}, belongs to user ${status.uid}: chown root ${shellWord(parent)}, or choose another with ${flag}`,
      );
    }
    if (has(status, WRITTEN_BY_ALL) && !has(status, STICKY)) {
      throw new ServeError(`all users may write to ${where} ${modeOf(status)}: chmod o-w ${shellWord(parent)}`);
    }
  }
}

/**
 * Makes a file for this user alone, if it is not there; else see {@linkcode checkOwnFiles}.
 *
 * @param path The file, in a directory of {@linkcode checkOwnDirectory}.
 */
export async function ensureOwnFile(path: string): Promise<void> {
  try {
    (await Deno.open(path, { write: true, createNew: true, mode: FILE_FOR_OWNER })).close();
    if (Deno.build.os !== "windows") await Deno.chmod(path, FILE_FOR_OWNER); // whatever the umask is
  } catch (error) {
    if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
  }
}

/**
 * Checks of each of these files that is there that it is no link, and belongs to this user, and takes from others the
 * permission to open it.
 *
 * @param paths Files in a directory of {@linkcode checkOwnDirectory}.
 * @param use What the directory is for.
 * @param log Receives a line if others had that permission.
 * @throws {ServeError} If one is another user's, or no file at all; the message has the command that mends it.
 */
export async function checkOwnFiles(paths: readonly string[], use: DirectoryUse, log: ServeLog): Promise<void> {
  const opened: string[] = [];
  for (const path of paths) {
    const status = await Deno.lstat(path).catch(unlessNotFound);
    if (status === undefined) continue;
    if (!status.isFile) {
      const what = status.isSymlink ? "a symbolic link" : "no file";
      throw new ServeError(`${path} is ${what}, which the server does not follow or replace: rm -r ${shellWord(path)}`);
    }
    checkOwner(path, status, use);
    if (!has(status, FOR_OTHERS)) continue;
    await Deno.chmod(path, FILE_FOR_OWNER);
    opened.push(`${path} ${modeOf(status)}`);
  }
  if (opened.length > 0) log.warn(`other users could open ${opened.join(", ")}: from now on, only this user can`);
}

function checkOwner(path: string, status: Deno.FileInfo, { flag }: DirectoryUse): void {
  if (isOwn(status)) return;
  const user = effectiveUser();
  throw new ServeError(
    `${path} belongs to user ${status.uid}, and this server runs as user ${user}: chown ${user} ${shellWord(path)}, ` +
      `or choose another directory with ${flag}`,
  );
}

/** Whether a file is this user's, as far as this process may know who that is. */
function isOwn({ uid }: Deno.FileInfo): boolean {
  const user = effectiveUser();
  return user === undefined || uid === user;
}

/** The user whose rights this process has; `undefined` without the permissions `--allow-ffi` and `--allow-sys=uid`. */
function effectiveUser(): number | undefined {
  const isGranted = (permission: Deno.PermissionDescriptor) =>
    Deno.permissions.querySync(permission).state === "granted";
  if (Deno.build.os === "linux" && isGranted({ name: "ffi" })) return openLibc().geteuid();
  return isGranted({ name: "sys", kind: "uid" }) ? Deno.uid() ?? undefined : undefined;
}

function has({ mode }: Deno.FileInfo, bits: number): boolean {
  return ((mode ?? 0) & bits) !== 0;
}

function modeOf({ mode }: Deno.FileInfo): string {
  return `(its mode is ${((mode ?? 0) & PERMISSIONS).toString(8).padStart(3, "0")})`;
}

function parentOf(path: string): string {
  return path.slice(0, path.lastIndexOf("/")) || "/";
}

function unlessNotCapable(error: unknown): undefined {
  if (!(error instanceof Deno.errors.NotCapable)) throw error;
}

function unlessNotFound(error: unknown): undefined {
  if (!(error instanceof Deno.errors.NotFound)) throw error;
}
