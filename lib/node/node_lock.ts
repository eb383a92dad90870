/**
 * The locks of a node keep it from being served twice on one machine by one user. They are locks of the operating
 * system, which the kernel releases when their holder dies, however it dies. (Two users cannot share a port, and two
 * machines not a lock.)
 *
 * - The supervisor holds `node-N.lock` exclusively, so a node has one supervisor.
 * - Every worker shares `node-N.workers.lock` with the others. A new supervisor first waits until nobody holds it:
 *   workers outlive a supervisor that was killed by some milliseconds, in which they still have the port.
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

/** The lock of a node. A process that has acquired it holds it until it disposes of the lock, or ends. */
export class NodeLock implements Disposable {
  /** The lock file of the workers: see {@linkcode lockAsWorker}. */
  readonly workersPath: string;

  readonly #file: Deno.FsFile;
  readonly #pidPath: string;

  private constructor(file: Deno.FsFile, path: string) {
    this.#file = file;
    this.workersPath = `${path}.workers.lock`;
    this.#pidPath = `${path}.pid`;
  }

  /**
   * Opens the lock, without acquiring it.
   *
   * @param stateDir The directory of the lock files; made if it does not exist.
   * @param nodeId The node.
   */
  static async open(stateDir: string, nodeId: number): Promise<NodeLock> {
    await Deno.mkdir(stateDir, { recursive: true });
    const path = `${stateDir}/node-${nodeId}`;
    // The workers may only read their lock file, so it is made for them.
    (await openLockFile(`${path}.workers.lock`)).close();
    return new NodeLock(await openLockFile(`${path}.lock`), path);
  }

  /**
   * Acquires the lock if no other process holds it.
   *
   * @returns Whether this process holds it now.
   */
  async tryAcquire(): Promise<boolean> {
    if (!await this.#file.tryLock(EXCLUSIVE)) return false;
    // The process id is in a file of its own, since Windows lets nobody read a locked file.
    await Deno.writeTextFile(this.#pidPath, `${Deno.pid}\n`);
    return true;
  }

  /**
   * Acquires the lock as soon as no other process holds it.
   *
   * @param signal Ends the wait when it aborts; the lock may not be held then.
   */
  async acquire(signal: AbortSignal): Promise<void> {
    while (!signal.aborted && !await this.tryAcquire()) await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }

  /** The process id of the last holder, as text; `unknown` if there was none. */
  async holder(): Promise<string> {
    return (await Deno.readTextFile(this.#pidPath).catch(() => "")).trim() || "unknown";
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
    this.#file.close();
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

function openLockFile(path: string): Promise<Deno.FsFile> {
  return Deno.open(path, { read: true, write: true, create: true });
}
