import type { AccessCounts } from "../access/access_counts.ts";
import { childEnv } from "../base/loader_variables.ts";
import { messageOf } from "../base/message_of.ts";
import type { Traffic } from "../udp/reuseport.ts";
import { encodeMessage, type FromWorker, readLines, type ToWorker, type WorkerConfig } from "./control_channel.ts";
import { LineLimit } from "./line_limit.ts";
import type { ServeLog } from "./serve_log.ts";
import type { Backend } from "./serve_options.ts";
import { MAX_LINE_LENGTH, readWorkerMessages, WorkerRules } from "./worker_messages.ts";

/** How long a worker has to end after `stop`, in ms, before it is killed. */
const STOP_TIMEOUT_MS = 500;

/** How long a worker has to end after `drain`, in ms, before it is killed. A worker drains for 300 ms. */
const DRAIN_TIMEOUT_MS = 5000;

/** How workers are run. */
export interface WorkerProgram {
  /** The module that runs as a worker when its first argument is `worker`. */
  readonly entryPoint: string;
  /** The lock file that every worker locks. */
  readonly workersPath: string;
}

/** The supervisor's side of one worker process. */
export class WorkerProcess {
  /** The process id. */
  readonly pid: number;
  /** The port of the worker, once it serves; `undefined` if it ends before. */
  readonly ready: Promise<number | undefined>;
  /** The exit status of the worker, once it has ended. */
  readonly exited: Promise<Deno.CommandStatus>;
  /** Why the worker is about to end, if it could say so. */
  lastWords: string | undefined;
  /** The last tick that the worker reported as used; -1 before its first report. */
  usedTick = -1;
  /** Why the worker has kept its rights, if it could not give them up: see `confineWorker`. */
  unconfined: string | undefined;
  /** Whether the worker has said that it will use no tick after {@linkcode usedTick}. */
  isDone = false;
  /** Whether the worker was killed for saying what a sound worker does not: {@linkcode lastWords} has it. */
  isBroken = false;
  /** What the worker reported as received since the last {@linkcode takeTraffic}. */
  #traffic: Traffic = { messages: 0, receives: 0 };

  readonly #counts: AccessCounts;
  readonly #rules: WorkerRules;
  /** Settles with the next answer to a `ping`. */
  #pong = Promise.withResolvers<void>();

  readonly #child: Deno.ChildProcess;
  readonly #stdin: WritableStreamDefaultWriter<Uint8Array<ArrayBuffer>>;

  /**
   * Starts a worker.
   *
   * @param program How workers are run.
   * @param config The configuration of this one. The worker gets it as it is when the worker says hello.
   * @param counts Where to add the counts that the worker reports: it does if it has no pool.
   * @param log Receives what the worker's runtime prints, such as the reason of a crash.
   */
  constructor(program: WorkerProgram, config: WorkerConfig, counts: AccessCounts, log: ServeLog) {
    this.#counts = counts;
    this.#rules = new WorkerRules(config);
    this.#child = spawn(program, config);
    this.#stdin = this.#child.stdin.getWriter();
    this.pid = this.#child.pid;
    logLines(this.#child.stderr, `worker ${config.worker} (process ${this.pid})`, log).catch(() => {});
    const ready = Promise.withResolvers<number | undefined>();
    const listened = this.#listen(config, ready.resolve).finally(() => ready.resolve(undefined));
    this.ready = ready.promise;
    this.exited = this.#exitAfter(listened);
  }

  /** Tells the worker the mark of its reservation. */
  setMark(mark: number): void {
    this.#tell({ type: "mark", mark });
  }

  /** Makes the datagrams that arrive on a CPU the worker's. */
  setIncomingCpu(incomingCpu: number): void {
    this.#tell({ type: "setIncomingCpu", incomingCpu });
  }

  /** Waits until the worker serves, has read a message and answered it; for ever if it does not. */
  async answers(): Promise<void> {
    await this.ready;
    this.#rules.expectPong();
    this.#tell({ type: "ping" });
    await this.#pong.promise;
  }

  /** Lets the worker answer the datagrams that it has, and waits until it has ended. Kills it if it takes too long. */
  async drain(): Promise<void> {
    this.#tell({ type: "drain" });
    await this.#endsWithin(DRAIN_TIMEOUT_MS);
  }

  /** Ends the worker, and waits until it has ended. Kills it if it takes too long. */
  async stop(): Promise<void> {
    this.#tell({ type: "stop" });
    await this.#endsWithin(STOP_TIMEOUT_MS);
  }

  /** Returns what the worker reported as received since the last call. */
  takeTraffic(): Traffic {
    const traffic = this.#traffic;
    this.#traffic = { messages: 0, receives: 0 };
    return traffic;
  }

  /** Describes how the worker ended, once it has. */
  async describeDeath(): Promise<string> {
    const { code, signal } = await this.exited;
    return this.lastWords ?? signal ?? `exit code ${code}`;
  }

  async #endsWithin(ms: number): Promise<void> {
    const timer = setTimeout(() => this.#kill(), ms);
    await this.exited;
    clearTimeout(timer);
  }

  #kill(): void {
    try {
      this.#child.kill("SIGKILL");
    } catch {
      // The worker has ended.
    }
  }

  /**
   * Waits until the worker has ended and all that it said has been heard. A worker that has closed its end of the
   * channel must end at once. What it leaves behind may hold that end open, and is not waited for.
   */
  async #exitAfter(listened: Promise<void>): Promise<Deno.CommandStatus> {
    const closed = listened.then(() => setTimeout(() => this.#kill(), STOP_TIMEOUT_MS));
    const status = await this.#child.status;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const waited = new Promise((resolve) => timer = setTimeout(resolve, STOP_TIMEOUT_MS));
    await Promise.race([listened, waited]);
    clearTimeout(timer);
    closed.then(clearTimeout);
    return status;
  }

  /** Handles the worker's messages until it ends, or says what a sound worker does not: then it is killed. */
  async #listen(config: WorkerConfig, onReady: (port: number) => void): Promise<void> {
    try {
      for await (const message of readWorkerMessages(this.#child.stdout)) {
        this.#rules.check(message);
        this.#take(message, config, onReady);
      }
    } catch (error) {
      this.isDone = false;
      this.isBroken = true;
      this.lastWords = `it was killed, since it said ${messageOf(error)}`;
      this.#kill();
    }
  }

  #take(message: FromWorker, config: WorkerConfig, onReady: (port: number) => void): void {
    switch (message.type) {
      case "hello":
        this.#tell({ type: "start", config });
        break;
      case "ready":
        this.unconfined = message.unconfined;
        onReady(message.port);
        break;
      case "report":
        this.usedTick = message.usedTick;
        this.#traffic.messages += message.traffic?.messages ?? 0;
        this.#traffic.receives += message.traffic?.receives ?? 0;
        message.counts?.forEach((count, i) => this.#counts[i] += count);
        break;
      case "pong":
        this.#pong.resolve();
        this.#pong = Promise.withResolvers();
        break;
      case "ended":
        this.usedTick = message.usedTick;
        this.isDone = true;
        break;
      case "failed":
        this.lastWords = message.message;
        break;
    }
  }

  #tell(message: ToWorker): void {
    this.#stdin.write(encodeMessage(message)).catch(() => {}); // The worker has ended.
  }
}

/** Logs a worker's lines, but not more than a log can bear, until one is too long to be a sound worker's. */
async function logLines(stream: ReadableStream<Uint8Array<ArrayBuffer>>, who: string, log: ServeLog): Promise<void> {
  const limit = new LineLimit(performance);
  const logOmitted = () => {
    const omitted = limit.takeOmitted();
    if (omitted > 0) log.warn(`${who} says ${omitted} lines more, which are left out`);
  };
  try {
    for await (const line of readLines(stream, MAX_LINE_LENGTH)) {
      if (!limit.admits()) continue;
      logOmitted();
      log.warn(`${who} says: ${line}`);
    }
  } finally {
    logOmitted();
  }
}

/** Starts the process, pinned to its CPU if it has one. */
function spawn({ entryPoint, workersPath }: WorkerProgram, config: WorkerConfig): Deno.ChildProcess {
  const deno = [...workerFlags(config.backend, workersPath), entryPoint, "worker", workersPath];
  const [command, args] = config.cpu === undefined
    ? [denoCommand(), deno]
    : ["taskset", ["-c", String(config.cpu), Deno.execPath(), ...deno]];
  const env = { ...WORKER_ENV, ...childEnv() };
  return new Deno.Command(command, { args, env, stdin: "piped", stdout: "piped", stderr: "piped" }).spawn();
}

/**
 * How Deno runs a worker: with no more permissions than its kind of socket needs. Deno checks `--allow-net` for every
 * address that a datagram is sent to, so a permission for the worker's own address would not let it answer.
 *
 * The cache of compiled code is a database that the runtime uses whenever it loads a module, its own ones included. In
 * a confined worker, SQLite would wait for a lock of that database for 80 s. Without the cache, a start takes 10 ms
 * more.
 */
export function workerFlags(backend: Backend, workersPath: string): string[] {
  const permission = backend === "reuseport" ? "--allow-ffi" : "--allow-net";
  return ["run", "--no-prompt", "--no-code-cache", "--unstable-net", `--allow-read=${workersPath}`, permission];
}

/** Deno asks for its latest version in the background, over the network and whatever the permissions. */
export const WORKER_ENV = { DENO_NO_UPDATE_CHECK: "1" };

/** Deno's path if this process may run it by its path; else its name, which is what the task `serve` allows. */
function denoCommand(): string {
  const { state } = Deno.permissions.querySync({ name: "run", command: Deno.execPath() });
  return state === "granted" ? Deno.execPath() : "deno";
}
