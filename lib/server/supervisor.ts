import { LAYOUTS } from "../id/presets.ts";
import { explainBindError } from "./bind_error.ts";
import type { WorkerConfig } from "./control_channel.ts";
import { allowedCpus } from "./cpus.ts";
import { lockNode } from "./node_lock.ts";
import { MAX_DEATHS, RestartPolicy, WINDOW_MS } from "./restart_policy.ts";
import type { Backend, ServeOptions } from "./serve_options.ts";
import { WorkerProcess, type WorkerProgram } from "./worker_process.ts";

/** The server cannot serve, or no longer; the message says why, and what to do. */
export class ServeError extends Error {
  /** The name of the class. */
  override name = "ServeError";
}

/** How long workers have to end when they are told to, in ms, before they are made to. */
const STOP_TIMEOUT_MS = 500;

/** Where the supervisor's own lines go. */
export interface ServeLog {
  /** What is being served. */
  info(line: string): void;
  /** What is not as it should be. */
  warn(line: string): void;
}

/**
 * Serves a node until it is told to stop: starts a worker for every CPU, and starts a worker again that dies.
 *
 * @param options What to serve.
 * @param entryPoint The module that is a worker when its first argument is `worker`.
 * @param stop When to stop.
 * @param log Where lines go.
 * @throws {ServeError} If it cannot serve: a port or a node that is taken, a permission that is missing, or a worker that
 * dies again and again.
 */
export async function supervise(
  options: ServeOptions,
  entryPoint: string,
  stop: AbortSignal,
  log: ServeLog,
): Promise<void> {
  checkRunPermission();
  const backend = chooseBackend(options.backend, log);
  const cpus = await allowedCpus();
  if (cpus === undefined) log.warn("there is no taskset (util-linux) here: the workers are not pinned to CPUs");
  const count = options.workers ?? navigator.hardwareConcurrency;
  if (backend === "listen-datagram" && options.port > 0 && options.port + count - 1 > 65_535) {
    throw new ServeError(`${count} workers from port ${options.port} on would go past port 65535: take a lower --port`);
  }
  const stateDir = options.stateDir ?? defaultStateDir();
  using lock = await lockNode(stateDir, options.nodeId).catch((error) => {
    throw new ServeError(explainStateError(error, stateDir));
  });
  if (backend === "reuseport" && options.port > 0) checkPortIsFree(options);

  const configs = Array.from({ length: count }, (_, i): WorkerConfig => ({
    nodeId: options.nodeId,
    subnodeId: i,
    subnodeCount: count,
    layout: options.layout,
    backend,
    hostname: options.hostname,
    port: backend === "listen-datagram" && options.port > 0 ? options.port + i : options.port,
    cpu: cpus?.[i % cpus.length],
  }));
  const fleet = new Fleet({ entryPoint, workersPath: lock.workersPath }, configs, log);
  stop.addEventListener("abort", () => fleet.stop(), { once: true });
  if (stop.aborted) fleet.stop();
  try {
    await fleet.start();
    if (!stop.aborted) announce(options, configs, log);
    await fleet.ended;
  } finally {
    await fleet.stop();
  }
}

/** The workers of one server. */
class Fleet {
  /** Settles when all workers have ended for good: rejects if that is because one cannot be kept alive. */
  readonly ended: Promise<void>;

  readonly #ended = Promise.withResolvers<void>();
  readonly #stopping = new AbortController();
  readonly #workers = new Map<WorkerConfig, WorkerProcess>();

  constructor(
    private readonly program: WorkerProgram,
    private readonly configs: WorkerConfig[],
    private readonly log: ServeLog,
  ) {
    this.ended = this.#ended.promise;
    this.ended.catch(() => {}); // It may reject before anybody waits for it.
  }

  /**
   * Starts all workers and waits until they serve. If the system is to choose the port that they share, the first worker's
   * port becomes the others'.
   */
  async start(): Promise<void> {
    const [first, ...others] = this.configs;
    if (first.backend === "reuseport" && first.port === 0) {
      first.port = await this.#startFirstTime(first);
      for (const config of others) config.port = first.port;
      await Promise.all(others.map((config) => this.#startFirstTime(config)));
    } else {
      await Promise.all(this.configs.map(async (config) => config.port = await this.#startFirstTime(config)));
    }
  }

  /** Ends all workers and waits until they have ended. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    const workers = [...this.#workers.values()];
    for (const worker of workers) worker.kill("SIGTERM");
    const timer = setTimeout(() => workers.forEach((worker) => worker.kill("SIGKILL")), STOP_TIMEOUT_MS);
    await Promise.all(workers.map((worker) => worker.exited));
    clearTimeout(timer);
    this.#ended.resolve();
  }

  /** Starts a worker and, from then on, looks after it. One that cannot even be started once is not tried again. */
  async #startFirstTime(config: WorkerConfig): Promise<number> {
    const worker = this.#spawn(config);
    const port = await worker.ready;
    if (port === undefined) {
      await worker.exited;
      if (this.#stopping.signal.aborted) return config.port;
      throw new ServeError(`worker ${config.subnodeId} could not start: ${await deathOf(worker)}`);
    }
    this.#lookAfter(worker, config).catch((error) => this.#ended.reject(error));
    return port;
  }

  /** Starts a worker again whenever it dies, as long as there is a point in it. */
  async #lookAfter(worker: WorkerProcess, config: WorkerConfig): Promise<void> {
    const policy = new RestartPolicy();
    while (true) {
      const death = await deathOf(worker);
      if (this.#stopping.signal.aborted) return;
      const delayMs = policy.delayAfterDeath(performance.now());
      const who = `worker ${config.subnodeId} (process ${worker.pid})`;
      if (delayMs === undefined) {
        throw new ServeError(
          `${who} died, as it did ${MAX_DEATHS} times in the last ${
            WINDOW_MS / 1000
          } s: ${death}; not starting it again`,
        );
      }
      this.log.warn(`${who} died: ${death}; starting it again in ${delayMs} ms`);
      await sleep(delayMs, this.#stopping.signal);
      if (this.#stopping.signal.aborted) return;
      worker = this.#spawn(config);
    }
  }

  #spawn(config: WorkerConfig): WorkerProcess {
    const worker = new WorkerProcess(this.program, config);
    this.#workers.set(config, worker);
    return worker;
  }
}

/** Makes sure that this process may start workers at all. */
function checkRunPermission(): void {
  const mayRun = (command: string) => Deno.permissions.querySync({ name: "run", command }).state === "granted";
  if (!mayRun("taskset") && !mayRun("deno")) {
    throw new ServeError("the permission --allow-run=taskset,deno is missing: the workers are processes of their own");
  }
}

/** The best backend that works here, unless one was asked for. */
function chooseBackend(asked: Backend | undefined, log: ServeLog): Backend {
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
 * Makes sure that nobody has the port. Sockets that share a port can be bound next to each other's without an error, so
 * that a server of another node on the same port would go unnoticed.
 */
function checkPortIsFree({ hostname, port }: ServeOptions): void {
  try {
    Deno.listenDatagram({ hostname, port, transport: "udp" }).close();
  } catch (error) {
    throw new ServeError(explainBindError(error, hostname, port));
  }
}

/** `.global-id` in the home directory: one place for all servers of a user, wherever they are started. */
function defaultStateDir(): string {
  const home = env("HOME") ?? env("USERPROFILE");
  if (home === undefined) throw new ServeError("there is no home directory to keep locks in: choose one with --state");
  return `${home}/.global-id`;
}

function env(name: string): string | undefined {
  return Deno.permissions.querySync({ name: "env", variable: name }).state === "granted"
    ? Deno.env.get(name)
    : undefined;
}

function explainStateError(error: unknown, stateDir: string): string {
  if (error instanceof Deno.errors.NotCapable) {
    return `the state directory ${stateDir} needs permissions: deno run -P=serve ` +
      `--allow-read=${stateDir} --allow-write=${stateDir} server.ts --state ${stateDir}`;
  }
  const message = error instanceof Error ? error.message : String(error);
  return error instanceof Error && error.name === "NodeLockError"
    ? message
    : `the state directory ${stateDir} cannot be used: ${message}`;
}

async function deathOf(worker: WorkerProcess): Promise<string> {
  const { code, signal } = await worker.exited;
  return worker.lastWords ?? (signal === null ? `exit code ${code}` : signal);
}

function announce({ nodeId, hostname, layout }: ServeOptions, configs: WorkerConfig[], log: ServeLog): void {
  const { backend } = configs[0];
  const ports = [...new Set(configs.map(({ port }) => port))];
  const { maxSequence, tickMs } = LAYOUTS[layout];
  const perSecond = ((maxSequence + 1) * 1000 / tickMs).toLocaleString("en");
  const cpus = configs.map(({ cpu }) => cpu);
  const pinned = cpus.every((cpu) => cpu !== undefined) ? `on CPUs ${[...new Set(cpus)].join(", ")}` : "not pinned";
  log.info(
    `node ${nodeId} on ${hostname} udp port ${ports.join(", ")}: ${configs.length} worker${
      configs.length === 1 ? "" : "s"
    } (${backend}, ${pinned}), ` +
      `up to ${perSecond} ids a second (layout ${layout})`,
  );
  log.info(`try it: deno task id --port ${ports.join(",")}`);
}

/** Waits; not to its end if the signal says so. */
function sleep(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const timer = setTimeout(resolve, ms);
    signal.addEventListener("abort", () => (clearTimeout(timer), resolve()), { once: true });
  });
}
