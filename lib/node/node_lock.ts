/**
 * Keeps a node from being served twice on one machine by one user, with locks of the operating system, which the kernel
 * releases when their holder dies, however it dies. (Two users cannot share a port, and two machines not a lock.)
 *
 * - `node-N.lock` is held by the supervisor, exclusively: there is one supervisor a node.
 * - `node-N.workers.lock` is held by every worker, shared with the others: a new supervisor first waits for a while until nobody
 *   holds it, since workers outlive a supervisor that was killed by some milliseconds, in which they still have the port.
 *
 * Uniqueness does not rest on these locks but on reservations (`lib/reservation/`). They say at once, and by whom, that a node
 * is being served, where a store alone could only be watched for a while.
 *
 * @module
 */

/** How often to look again whether a lock is free, in ms. */
const POLL_MS = 10;

/** The lock of a node, which a process may hold until it is disposed of, or the process ends. */
export class NodeLock implements Disposable {
  /** The file that the workers lock with {@linkcode lockAsWorker}. */
  readonly workersPath: string;

  readonly #file: Deno.FsFile;
  readonly #pidPath: string;

  private constructor(file: Deno.FsFile, path: string) {
    this.#file = file;
    this.workersPath = `${path}.workers.lock`;
    this.#pidPath = `${path}.pid`;
  }

  /**
   * Opens the lock, without taking it.
   *
   * @param stateDir The directory of the locks; made if it is not there.
   * @param nodeId The node.
   */
  static async open(stateDir: string, nodeId: number): Promise<NodeLock> {
    await Deno.mkdir(stateDir, { recursive: true });
    const path = `${stateDir}/node-${nodeId}`;
    // There is something to lock for the workers, who may only read it.
    (await openLockFile(`${path}.workers.lock`)).close();
    return new NodeLock(await openLockFile(`${path}.lock`), path);
  }

  /** Takes the lock if nobody has it. */
  async tryAcquire(): Promise<boolean> {
    if (!await this.#file.tryLock(true)) return false;
    // In a file of its own, since Windows lets nobody read a file that is locked.
    await Deno.writeTextFile(this.#pidPath, `${Deno.pid}\n`);
    return true;
  }

  /** Takes the lock as soon as nobody has it, unless it is told that there is no need any more. */
  async acquire(signal: AbortSignal): Promise<void> {
    while (!signal.aborted && !await this.tryAcquire()) await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }

  /** Who took the lock last: the process id as text. */
  async holder(): Promise<string> {
    return (await Deno.readTextFile(this.#pidPath).catch(() => "")).trim() || "unknown";
  }

  /**
   * Waits until there are no workers of the node on this machine.
   *
   * @param timeoutMs How long, in ms.
   * @returns Whether there are none.
   */
  async workersEnded(timeoutMs: number): Promise<boolean> {
    using file = await openLockFile(this.workersPath);
    const deadlineMs = performance.now() + timeoutMs;
    while (!await file.tryLock(true)) {
      if (performance.now() > deadlineMs) return false;
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
    return true;
  }

  /** Gives the lock up. */
  [Symbol.dispose](): void {
    this.#file.close();
  }
}

/**
 * Takes a worker's share of the hold on its node, until the process ends.
 *
 * @param workersPath The file of the lock, from the supervisor.
 */
export async function lockAsWorker(workersPath: string): Promise<void> {
  const file = await Deno.open(workersPath, { read: true });
  if (!await file.tryLock(false)) throw new Error(`${workersPath} is locked by a starting server`);
  held.push(file);
}

/** Open as long as the process lives: a file that is garbage collected is closed, and a lock ends with its file. */
const held: Deno.FsFile[] = [];

function openLockFile(path: string): Promise<Deno.FsFile> {
  return Deno.open(path, { read: true, write: true, create: true });
}
