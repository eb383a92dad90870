import { messageOf } from "../base/message_of.ts";
import { NodeLock } from "../node/node_lock.ts";
import { SqliteThreadStore } from "../reservation/stores/sqlite_thread_store.ts";
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

function readEnv(name: string): string | undefined {
  return Deno.permissions.querySync({ name: "env", variable: name }).state === "granted"
    ? Deno.env.get(name)
    : undefined;
}

/**
 * Opens the lock of a node, without acquiring it.
 *
 * @throws {ServeError} If the state directory cannot be used.
 */
export async function openLock(stateDir: string, nodeId: number): Promise<NodeLock> {
  if (stateDir.includes(",")) {
    // Each worker is permitted to read its lock file by --allow-read, and Deno splits the value of that flag at commas.
    throw new ServeError(`the state directory must not have a comma in its path: got ${stateDir}`);
  }
  try {
    return await NodeLock.open(stateDir, nodeId);
  } catch (error) {
    // For some paths, such as those in /proc, Deno asks for --allow-all.
    const isScoped = error instanceof Deno.errors.NotCapable && !error.message.includes("--allow-all");
    const problem = isScoped
      ? `needs permissions: --allow-read=${stateDir} --allow-write=${stateDir}`
      : `cannot be used: ${messageOf(error)}; choose another with --state`;
    throw new ServeError(`the state directory ${stateDir} ${problem}`, { cause: error });
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
 * Opens the store of reservations.
 *
 * @throws {ServeError} If the database cannot be opened.
 */
export async function openStore(stateDir: string): Promise<SqliteThreadStore> {
  try {
    return await SqliteThreadStore.open(`${stateDir}/reservations.sqlite`);
  } catch (error) {
    throw new ServeError(messageOf(error), { cause: error });
  }
}
