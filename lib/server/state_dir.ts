import { dirname } from "node:path";
import { readEnv } from "../base/read_env.ts";
import { messageOf } from "../base/message_of.ts";
import { lockPathsOf, NodeLock } from "../node/node_lock.ts";
import {
  checkOwnDirectory,
  checkOwnFiles,
  type DirectoryUse,
  ensureOwnDirectory,
  ensureOwnFile,
  STATE_DIRECTORY,
} from "./own_directory.ts";
import { ServeError } from "./serve_error.ts";
import type { ServeLog } from "./serve_log.ts";

/**
 * Names `.global-id` in the home directory, the one place for all servers of a user, wherever they are started.
 *
 * @throws {ServeError} If there is no home directory.
 */
export function defaultStateDir(): string {
  const home = readEnv("HOME") || readEnv("USERPROFILE");
  if (!home) throw new ServeError("there is no home directory to keep locks in: choose one with --state");
  return `${home}/.global-id`;
}

/**
 * Makes the state directory if it is not there, and checks that it is this user's alone.
 *
 * @param path The directory.
 * @returns Its path without links.
 * @throws {ServeError} If it cannot be used, or is not this user's alone.
 */
export async function openStateDir(path: string): Promise<string> {
  const stateDir = await explained(path, STATE_DIRECTORY, () => ensureOwnDirectory(path, STATE_DIRECTORY));
  if (stateDir.includes(",")) {
    // Each worker is permitted to read its lock file by --allow-read, and Deno splits the value of that flag at commas.
    throw new ServeError(`the state directory must not have a comma in its path: got ${stateDir}`);
  }
  return stateDir;
}

/**
 * Opens the lock of a node, without acquiring it.
 *
 * @param stateDir The directory, from {@linkcode openStateDir}.
 * @param nodeId The node.
 * @param log Receives a line if other users could open the lock's files until now.
 * @throws {ServeError} If the state directory cannot be used, or has something else than the lock's files.
 */
export async function openLock(stateDir: string, nodeId: number, log: ServeLog): Promise<NodeLock> {
  return await explained(stateDir, STATE_DIRECTORY, async () => {
    const { lock, workers, pid } = lockPathsOf(stateDir, nodeId);
    await checkOwnFiles([lock, workers, pid], STATE_DIRECTORY, log);
    for (const path of [lock, workers]) await ensureOwnFile(path);
    return await NodeLock.open(stateDir, nodeId);
  });
}

/** Explains why something cannot be done in a directory. */
async function explained<Result>(
  path: string,
  { name, flag }: DirectoryUse,
  act: () => Promise<Result>,
): Promise<Result> {
  try {
    return await act();
  } catch (error) {
    if (error instanceof ServeError) throw error;
    // For some paths, such as those in /proc, Deno asks for --allow-all.
    const isScoped = error instanceof Deno.errors.NotCapable && !error.message.includes("--allow-all");
    const problem = isScoped
      ? `needs permissions: --allow-read=${path} --allow-write=${path}`
      : `cannot be used: ${messageOf(error)}; choose another with ${flag}`;
    throw new ServeError(`the ${name} ${path} ${problem}`, { cause: error });
  }
}

/**
 * Acquires the lock of a node if no other process holds it, and names this process as its holder.
 *
 * @returns Whether this process holds it now.
 * @throws {ServeError} If the file system has no locks.
 */
export async function tryLock(lock: NodeLock, log: ServeLog): Promise<boolean> {
  try {
    if (!await lock.tryAcquire()) return false;
  } catch (error) {
    const remedy = "choose a directory on a local disk with --state";
    throw new ServeError(`the state directory's files cannot be locked: ${messageOf(error)}; ${remedy}`, {
      cause: error,
    });
  }
  await nameHolder(lock, log);
  return true;
}

/** Names this process as the holder of the lock, for the operator: the server works without, on a full disk. */
export async function nameHolder(lock: NodeLock, log: ServeLog): Promise<void> {
  try {
    await lock.writePid();
  } catch (error) {
    log.warn(`no file names this process, which is ${Deno.pid}: ${messageOf(error)}`);
  }
}

/**
 * Makes the file of a database, if it is not there, and checks that its directory and its files are this user's alone.
 * It does not make the directory: a path that was mistyped would have a database without what is on record.
 *
 * @param path The database.
 * @param use What its directory is for.
 * @param log Receives a line if other users could open its files until now.
 * @throws {ServeError} If they are not.
 */
export async function guardDatabase(path: string, use: DirectoryUse, log: ServeLog): Promise<void> {
  const directory = dirname(path);
  await explained(directory, use, async () => {
    await checkOwnDirectory(directory, use);
    // SQLite gives its other files the mode of the first one, whatever the umask is.
    await checkOwnFiles([path, ...["wal", "shm", "journal"].map((name) => `${path}-${name}`)], use, log);
    await ensureOwnFile(path);
  });
}

/** The nodes whose locks are in the state directory: those that this machine has had. */
export async function nodesIn(stateDir: string): Promise<number[]> {
  const names = await Array.fromAsync(Deno.readDir(stateDir), ({ name }) => /^node-(0|[1-9][0-9]*)\.lock$/.exec(name));
  return names.flatMap((match) => match === null ? [] : [Number(match[1])]).sort((a, b) => a - b);
}
