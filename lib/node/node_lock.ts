/**
 * The locks of a node keep it from being served twice on one machine by one user. They are locks of the operating
 * system, which the kernel releases when their holder dies, however it dies. (Two users cannot share a port, and two
 * machines not a lock.)
 *
 * - The supervisor holds `node-N.lock` exclusively, so a node has one supervisor.
 * - Every worker shares `node-N.workers.lock` with the others. A new supervisor first waits until nobody holds it:
 *   workers outlive a supervisor that was killed by some milliseconds, in which they still have the port.
 *
 * `node-N.pid` names the supervisor. It is a file of its own, since Windows lets nobody read a locked file.
 *
 * Uniqueness does not rest on these locks but on reservations (`lib/reservation/`). The locks tell at once that a node
 * is being served, and by which process, where a store alone would have to be watched for a while.
 *
 * @module
 */
import { NodeHeldError } from "../reservation/errors.ts";

/** How often a waiting process tries to lock, in ms. */
const POLL_MS = 10;

/** The kinds of locks that `Deno.FsFile.tryLock` tells apart. */
const EXCLUSIVE = true;
const SHARED = false;

/** The file of a process id has at most as many bytes: the kernel's ids go up to 4,194,304. */
const MAX_PID_FILE_BYTES = 16;

/** The paths of a node's lock files. */
export function lockPathsOf(stateDir: string, nodeId: number): { lock: string; workers: string; pid: string } {
  const path = `${stateDir}/node-${nodeId}`;
  return { lock: `${path}.lock`, workers: `${path}.workers.lock`, pid: `${path}.pid` };
}

/** The lock of a node. A process that has acquired it holds it until it disposes of the lock, or ends. */
export class NodeLock implements Disposable {
  /** The lock file of the workers: see {@linkcode lockAsWorker}. */
  readonly workersPath: string;

  readonly #file: Deno.FsFile;
  readonly #pidPath: string;
  /** The file at `#pidPath`, once this process has put it there. */
  #pidFile: Deno.FsFile | undefined;

  private constructor(file: Deno.FsFile, workersPath: string, pidPath: string) {
    this.#file = file;
    this.workersPath = workersPath;
    this.#pidPath = pidPath;
  }

  /**
   * Opens the lock, without acquiring it.
   *
   * @param stateDir The directory of the lock files, which nobody else can write to.
   * @param nodeId The node.
   */
  static async open(stateDir: string, nodeId: number): Promise<NodeLock> {
    const { lock, workers, pid } = lockPathsOf(stateDir, nodeId);
    // The workers may only read their lock file, so it is made for them.
    (await openLockFile(workers)).close();
    return new NodeLock(await openLockFile(lock), workers, pid);
  }

  /**
   * Acquires the lock if no other process holds it.
   *
   * @returns Whether this process holds it now.
   */
  async tryAcquire(): Promise<boolean> {
    return await this.#file.tryLock(EXCLUSIVE);
  }

  /**
   * Acquires the lock as soon as no other process holds it.
   *
   * @param signal Ends the wait when it aborts.
   * @returns Whether this process holds it now.
   */
  async acquire(signal: AbortSignal): Promise<boolean> {
    while (!signal.aborted) {
      if (await this.tryAcquire()) return true;
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
    return false;
  }

  /**
   * Writes the process id of the holder, this process, into `node-N.pid`. The file is complete, and locked, before it
   * has that name, and is removed before the lock is released. So it names a process that has ended only if that
   * process was killed, and then nobody holds the lock on it: `pkill -L -F node-N.pid` signals no stranger.
   *
   * @throws {Error} If the file cannot be written; there is none then.
   */
  async writePid(): Promise<void> {
    const draft = `${this.#pidPath}.new`;
    removeIfThere(draft);
    try {
      const file = this.#pidFile = await Deno.open(draft, { write: true, createNew: true, mode: 0o600 });
      // Windows lets nobody read a locked file, and has no pkill.
      if (Deno.build.os !== "windows") await file.tryLock(EXCLUSIVE);
      await file.write(new TextEncoder().encode(`${Deno.pid}\n`));
      await Deno.rename(draft, this.#pidPath);
    } catch (error) {
      this.#removePid();
      removeIfThere(draft);
      throw error;
    }
  }

  /** The process id of the holder, as text; `unknown` if no file names it. */
  async holder(): Promise<string> {
    return await readPid(this.#pidPath).catch(() => undefined) ?? "unknown";
  }

  /**
   * Waits until no workers of the node run on this machine.
   *
   * @param timeoutMs How long to wait at most, in ms.
   * @returns Whether none run.
   */
  async workersEnded(timeoutMs: number): Promise<boolean> {
    using file = await openLockFile(this.workersPath);
    const deadlineMs = performance.now() + timeoutMs;
    while (!await file.tryLock(EXCLUSIVE)) {
      if (performance.now() > deadlineMs) return false;
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
    return true;
  }

  /** Releases the lock. */
  [Symbol.dispose](): void {
    if (this.#pidFile !== undefined) this.#removePid();
    this.#file.close();
  }

  #removePid(): void {
    removeIfThere(this.#pidPath);
    this.#pidFile?.close();
    this.#pidFile = undefined;
  }
}

/**
 * Locks the workers' lock file, shared with other workers, until this process ends.
 *
 * @param workersPath The lock file.
 * @throws {NodeHeldError} If a starting server has locked it.
 */
export async function lockAsWorker(workersPath: string): Promise<void> {
  const file = await Deno.open(workersPath, { read: true });
  if (!await file.tryLock(SHARED)) throw new NodeHeldError(`${workersPath} is locked by a starting server`);
  held.push(file);
}

/** Files that stay open until the process ends: a file that is garbage collected is closed, and its lock released. */
const held: Deno.FsFile[] = [];

/** Reads a file of {@linkcode NodeLock.writePid}; `undefined` if it is another kind of file. */
async function readPid(path: string): Promise<string | undefined> {
  const { isFile, size } = await Deno.lstat(path);
  if (!isFile || size > MAX_PID_FILE_BYTES) return undefined;
  return (await Deno.readTextFile(path)).match(/^([0-9]+)\n$/)?.[1];
}

function removeIfThere(path: string): void {
  try {
    Deno.removeSync(path);
  } catch {
    // There is none, or the directory has become read-only: `pkill -L` tells that nobody holds its lock.
  }
}

function openLockFile(path: string): Promise<Deno.FsFile> {
  return Deno.open(path, { read: true, write: true, create: true, mode: 0o600 });
}
