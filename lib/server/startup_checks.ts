import { NodeLock } from "../node/node_lock.ts";
import { explainBindError } from "./bind_error.ts";
import { ServeError, type ServeLog } from "./serve_error.ts";
import type { Backend, ServeOptions } from "./serve_options.ts";

/**
 * Makes sure that this process may start workers at all.
 *
 * @throws {ServeError} If it may not.
 */
export function checkRunPermission(): void {
  const mayRun = (command: string) => Deno.permissions.querySync({ name: "run", command }).state === "granted";
  if (!mayRun("taskset") && !mayRun("deno")) {
    throw new ServeError("the permission --allow-run=taskset,deno is missing: the workers are processes of their own");
  }
}

/**
 * The best backend that works here, unless one was asked for.
 *
 * @throws {ServeError} If the one that was asked for does not work here.
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

/**
 * Makes sure that there is a port for every worker.
 *
 * @throws {ServeError} If there is not.
 */
export function checkPorts({ port }: ServeOptions, backend: Backend, workers: number): void {
  if (backend === "listen-datagram" && port > 0 && port + workers - 1 > 65_535) {
    throw new ServeError(`${workers} workers from port ${port} on would go past port 65535: take a lower --port`);
  }
}

/**
 * Makes sure that nobody has the port. Sockets that share a port can be bound next to each other's without an error, so
 * that a server of another node on the same port would go unnoticed.
 *
 * @throws {ServeError} If somebody has it, or this process may not.
 */
export function checkPortIsFree({ hostname, port }: ServeOptions): void {
  try {
    Deno.listenDatagram({ hostname, port, transport: "udp" }).close();
  } catch (error) {
    throw new ServeError(explainBindError(error, hostname, port));
  }
}

/**
 * `.global-id` in the home directory: one place for all servers of a user, wherever they are started.
 *
 * @throws {ServeError} If there is no home directory.
 */
export function defaultStateDir(): string {
  const home = env("HOME") ?? env("USERPROFILE");
  if (home === undefined) throw new ServeError("there is no home directory to keep locks in: choose one with --state");
  return `${home}/.global-id`;
}

function env(name: string): string | undefined {
  return Deno.permissions.querySync({ name: "env", variable: name }).state === "granted"
    ? Deno.env.get(name)
    : undefined;
}

/**
 * Opens the lock of a node.
 *
 * @throws {ServeError} If the state directory cannot be used.
 */
export async function openLock(stateDir: string, nodeId: number): Promise<NodeLock> {
  if (stateDir.includes(",")) {
    // Workers may read their lock there, and Deno takes what is allowed as a list.
    throw new ServeError(`the state directory must not have a comma in its path: got ${stateDir}`);
  }
  try {
    return await NodeLock.open(stateDir, nodeId);
  } catch (error) {
    const message = error instanceof Deno.errors.NotCapable
      ? `needs permissions: --allow-read=${stateDir} --allow-write=${stateDir}`
      : `cannot be used: ${error instanceof Error ? error.message : error}`;
    throw new ServeError(`the state directory ${stateDir} ${message}`);
  }
}
