/**
 * Keeps a node from being served twice on one machine by one user, with locks of the operating system, which the kernel
 * releases when their holder dies, however it dies. (Two users cannot share a port, and two machines not a lock.)
 *
 * - `node-N.lock` is held by the supervisor, exclusively: there is one supervisor a node.
 * - `node-N.workers.lock` is held by every worker, shared with the others: a new supervisor first waits until nobody holds
 *   it, since workers outlive a supervisor that was killed by some milliseconds, in which they still have the port.
 *
 * Uniqueness does not rest on these locks but on reservations (`lib/reservation/`). They say at once, and by whom, that a node
 * is being served, where a store alone could only be watched for a while.
 *
 * @module
 */

/** How long a supervisor waits for the workers of one that died, in ms. They notice within a tenth of a second. */
const WORKERS_TIMEOUT_MS = 5_000;
const WORKERS_POLL_MS = 10;

/** A node cannot be served, since it is being served. */
export class NodeLockError extends Error {
  /** The name of the class. */
  override name = "NodeLockError";
}

/** The supervisor's hold on a node. */
export interface NodeLock extends Disposable {
  /** The file that the workers lock with {@linkcode lockAsWorker}. */
  readonly workersPath: string;
}

/**
 * Takes hold of a node, until it is disposed of or the process ends.
 *
 * @param stateDir The directory of the locks; made if it is not there.
 * @param nodeId The node.
 * @throws {NodeLockError} If another process holds it.
 */
export async function lockNode(stateDir: string, nodeId: number): Promise<NodeLock> {
  await Deno.mkdir(stateDir, { recursive: true });
  const path = (name: string) => `${stateDir}/node-${nodeId}.${name}`;
  const file = await openLockFile(path("lock"));
  try {
    if (!await file.tryLock(true)) {
      throw new NodeLockError(
        `node ${nodeId} is being served already, by process ${await readPid(path("pid"))}: ` +
          "stop that one, or choose another --node-id",
      );
    }
    // In a file of its own, since Windows lets nobody read a file that is locked.
    await Deno.writeTextFile(path("pid"), `${Deno.pid}\n`);
    await waitForWorkers(path("workers.lock"), nodeId);
  } catch (error) {
    file.close();
    throw error;
  }
  return { workersPath: path("workers.lock"), [Symbol.dispose]: () => file.close() };
}

/**
 * Takes a worker's share of the hold on its node, until the process ends.
 *
 * @param workersPath The file of the lock, from the supervisor.
 */
export async function lockAsWorker(workersPath: string): Promise<void> {
  const file = await Deno.open(workersPath, { read: true });
  if (!await file.tryLock(false)) throw new NodeLockError(`${workersPath} is locked by a starting server`);
  held.push(file);
}

/** Open as long as the process lives: a file that is garbage collected is closed, and a lock ends with its file. */
const held: Deno.FsFile[] = [];

async function waitForWorkers(path: string, nodeId: number): Promise<void> {
  using file = await openLockFile(path);
  const deadlineMs = performance.now() + WORKERS_TIMEOUT_MS;
  while (!await file.tryLock(true)) {
    if (performance.now() > deadlineMs) {
      throw new NodeLockError(
        `workers of an earlier server of node ${nodeId} are still running (they hold ${path}): stop them first`,
      );
    }
    await new Promise((resolve) => setTimeout(resolve, WORKERS_POLL_MS));
  }
}

function openLockFile(path: string): Promise<Deno.FsFile> {
  return Deno.open(path, { read: true, write: true, create: true });
}

async function readPid(path: string): Promise<string> {
  return (await Deno.readTextFile(path).catch(() => "")).trim() || "unknown";
}
