import { sourceLimitOf } from "./access_checks.ts";
import { withheldVariables } from "../base/loader_variables.ts";
import type { NodeLock } from "../node/node_lock.ts";
import { encodeAddress, isUnspecified } from "../udp/socket_address.ts";
import { explainBindError } from "./bind_error.ts";
import { checkDrift, ClockDriftError, type ClockSync, readClockSync } from "./clock_sync.ts";
import { ServeError } from "./serve_error.ts";
import type { ServeLog } from "./serve_log.ts";
import type { Backend, NodeOptions, ServeOptions } from "./serve_options.ts";

/**
 * How long a starting server waits for workers of an earlier one, in ms. Workers notice within a tenth of a second that
 * their supervisor is gone.
 */
const WORKERS_TIMEOUT_MS = 1000;

/**
 * Checks that this process may start workers at all.
 *
 * @throws {ServeError} If the permission is missing.
 */
export function checkRunPermission(): void {
  const mayRun = (command: string) => Deno.permissions.querySync({ name: "run", command }).state === "granted";
  if (!mayRun("taskset") && !mayRun("deno")) {
    throw new ServeError(
      "the workers are processes of their own, and this one may start none: " +
        "the permission --allow-run=taskset,deno is missing, or neither program is in PATH",
    );
  }
}

/** Tells the operator which variables the workers do not inherit, since such a variable may matter to a worker. */
export function warnOfWithheldVariables(log: ServeLog): void {
  const names = withheldVariables();
  if (names.length === 0) return;
  log.warn(
    `the workers start without ${names.join(", ")}, which Deno passes on only to processes that may run anything: ` +
      "if a worker needs that, start the server with --allow-run instead of --allow-run=taskset,deno",
  );
}

/**
 * Chooses the backend.
 *
 * @param asked The backend that the operator asked for; `undefined`: the best that works here.
 * @param log Receives a warning if that is not the best one there is.
 * @throws {ServeError} If the backend that was asked for does not work here.
 */
export function chooseBackend(asked: Backend | undefined, log: ServeLog): Backend {
  if (asked === "listen-datagram") return asked;
  const isLinux = Deno.build.os === "linux";
  const mayUseFfi = Deno.permissions.querySync({ name: "ffi" }).state === "granted";
  if (isLinux && mayUseFfi) return "reuseport";
  if (asked === undefined) {
    if (isLinux) log.warn("without the permission --allow-ffi, every worker has a port of its own (listen-datagram)");
    return "listen-datagram";
  }
  throw new ServeError(
    isLinux
      ? "the backend reuseport needs the permission --allow-ffi: grant it, or take --backend listen-datagram"
      : `the backend reuseport is for Linux, and this is ${Deno.build.os}: take --backend listen-datagram`,
  );
}

/** Tells the operator if answers may come from another address than the one that a client asked. */
export function warnOfOtherAddress({ hostnames }: ServeOptions, backend: Backend, log: ServeLog): void {
  const all = hostnames.filter((hostname) => isUnspecified(encodeAddress(hostname, 0)));
  if (backend === "reuseport" || all.length === 0) return;
  log.warn(
    `bound to ${
      all.join(", ")
    }, listen-datagram may answer from another address of this machine than a client asked, ` +
      "which many clients ignore: if the machine has several addresses, name each with a --host of its own",
  );
}

/**
 * Checks that there is a port for every worker.
 *
 * @throws {ServeError} If the workers' ports would go past the last one.
 */
export function checkPorts({ port }: ServeOptions, backend: Backend, workers: number): void {
  if (backend === "listen-datagram" && port > 0 && port + workers - 1 > 65_535) {
    throw new ServeError(`${workers} workers from port ${port} on would go past port 65535: take a lower --port`);
  }
}

/**
 * Checks that each worker has ids for an address: workers without a pool get equal parts of its share.
 *
 * @param workers How many workers the node has.
 * @throws {ServeError} If there are fewer ids than workers.
 */
export function checkSourceShare(options: ServeOptions, backend: Backend, workers: number): void {
  const { idsPerTick = Infinity } = sourceLimitOf(options, workers) ?? {};
  if (backend === "reuseport" || idsPerTick >= workers) return;
  throw new ServeError(
    `--source-share ${options.sourceShare} leaves one address ${idsPerTick} ids of a tick, too few for ${workers} ` +
      "workers with a part each (listen-datagram): take a higher share, fewer --workers, or --backend reuseport",
  );
}

/**
 * Checks that the clock is as true as the operator demands.
 *
 * @returns The kernel's knowledge about the clock.
 * @throws {ServeError} If the clock may be off by more.
 */
export function checkClock({ maxDriftMs }: ServeOptions): ClockSync | undefined {
  const sync = readClockSync();
  try {
    checkDrift(maxDriftMs, sync);
    return sync;
  } catch (error) {
    if (!(error instanceof ClockDriftError)) throw error;
    throw new ServeError(error.message, { cause: error });
  }
}

/**
 * Checks that no other process has the port. Sockets that share a port are bound beside each other without an error, so
 * a server of another node on the same port would go unnoticed.
 *
 * @throws {ServeError} If another process has the port, or this one may not bind it.
 */
export function checkPortIsFree({ hostnames, port }: ServeOptions): void {
  for (const hostname of hostnames) {
    try {
      Deno.listenDatagram({ hostname, port, transport: "udp" }).close();
    } catch (error) {
      throw new ServeError(explainBindError(error, hostname, port), { cause: error });
    }
  }
}

/**
 * Checks that the running server of the node may be taken over, and can be.
 *
 * @param lock The lock, which the running server holds.
 * @throws {ServeError} If the operator did not ask for a takeover, or the backend cannot share the port.
 */
export async function checkTakeover(options: NodeOptions, backend: Backend, lock: NodeLock): Promise<void> {
  const { nodeId, isReplacing } = options;
  if (!isReplacing) {
    throw new ServeError(
      `node ${nodeId} is being served already, by process ${await lock.holder()}: ` +
        "stop that one, replace it with --replace, or choose another --node-id",
    );
  }
  if (backend !== "reuseport") throw new ServeError(`--replace needs the backend reuseport, and this is ${backend}`);
}

/** Waits for the workers of an earlier server to end, which still have the port for a moment, and checks the port. */
export async function awaitEarlierWorkers(
  options: NodeOptions,
  backend: Backend,
  lock: NodeLock,
  log: ServeLog,
): Promise<void> {
  const haveEnded = await lock.workersEnded(WORKERS_TIMEOUT_MS);
  if (!haveEnded) {
    log.warn(
      `workers of an earlier server of node ${options.nodeId} still run (they hold ${lock.workersPath}): ` +
        "requests that reach them may go unanswered until they end",
    );
  } else if (backend === "reuseport" && options.port > 0) {
    checkPortIsFree(options);
  }
}
