import type { Traffic } from "../udp/reuseport.ts";
import { encodeMessage, type FromWorker, readMessages, type ToWorker, type WorkerConfig } from "./control_channel.ts";

/** How long a worker has to end when it is told to, in ms, before it is made to. */
const STOP_TIMEOUT_MS = 500;

/** The same for one that is to answer first what it has: longer than it does so. */
const DRAIN_TIMEOUT_MS = 5000;

/** How workers are run. */
export interface WorkerProgram {
  /** The module that is a worker when its first argument is `worker`. */
  readonly entryPoint: string;
  /** The file of the lock that every worker takes. */
  readonly workersPath: string;
}

/** The supervisor's side of one worker process. */
export class WorkerProcess {
  /** Its process id. */
  readonly pid: number;
  /** The port that it serves, once it does; `undefined` if it ends before. */
  readonly ready: Promise<number | undefined>;
  /** How it ended, once it has. */
  readonly exited: Promise<Deno.CommandStatus>;
  /** What it said about why it is about to end, if it could. */
  lastWords: string | undefined;
  /** The last tick that it said it used; -1 if it has not said yet. */
  usedTick = -1;
  /** Whether it said that it will use no later one. */
  isDone = false;
  /** Whether it was told to end by itself. */
  isDraining = false;
  /** What it said it received since {@linkcode takeTraffic}. */
  #traffic: Traffic = { messages: 0, receives: 0 };

  readonly #child: Deno.ChildProcess;
  readonly #stdin: WritableStreamDefaultWriter<Uint8Array<ArrayBuffer>>;
  /** How far its ticks are reserved; 0 as long as that is what it was started with. */
  #mark = 0;

  /**
   * Starts a worker.
   *
   * @param program How workers are run.
   * @param config What this one is to do.
   */
  constructor(program: WorkerProgram, config: WorkerConfig) {
    this.#child = spawn(program, config);
    this.#stdin = this.#child.stdin.getWriter();
    this.pid = this.#child.pid;
    const ready = Promise.withResolvers<number | undefined>();
    const listened = this.#listen(config, ready.resolve).finally(() => ready.resolve(undefined));
    this.ready = ready.promise;
    this.exited = listened.then(() => this.#child.status);
  }

  /** Tells it how far its ticks are reserved now. */
  setMark(mark: number): void {
    this.#mark = mark;
    this.#tell({ type: "mark", mark: mark });
  }

  /** Tells it to take what arrives on this CPU. */
  setIncomingCpu(incomingCpu: number): void {
    this.#tell({ type: "take", incomingCpu });
  }

  /** Tells it to get no new datagrams, to answer those it has, and to end. Makes it end if it has not after a while. */
  async drain(): Promise<void> {
    this.isDraining = true;
    this.#tell({ type: "drain" });
    await this.#endsWithin(DRAIN_TIMEOUT_MS);
  }

  /** Tells it to end at once, and to say what it has used. Makes it end if it has not after a while. */
  async stop(): Promise<void> {
    this.#tell({ type: "stop" });
    await this.#endsWithin(STOP_TIMEOUT_MS);
  }

  /** What it said it received since this was last called. */
  takeTraffic(): Traffic {
    const taken = this.#traffic;
    this.#traffic = { messages: 0, receives: 0 };
    return taken;
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
      // It has ended.
    }
  }

  /** Hears what it says, until it ends, and tells it what to do when it says hello. */
  async #listen(config: WorkerConfig, ready: (port: number) => void): Promise<void> {
    for await (const message of readMessages<FromWorker>(this.#child.stdout)) {
      if (message.type === "hello") {
        this.#tell({ type: "start", config });
        if (this.#mark > 0) this.#tell({ type: "mark", mark: this.#mark });
      } else if (message.type === "ready") {
        ready(message.port);
      } else if (message.type === "report") {
        this.usedTick = message.usedTick;
        this.#traffic.messages += message.traffic?.messages ?? 0;
        this.#traffic.receives += message.traffic?.receives ?? 0;
      } else if (message.type === "ended") {
        this.usedTick = message.usedTick;
        this.isDone = true;
      } else {
        this.lastWords = message.message;
      }
    }
  }

  #tell(message: ToWorker): void {
    this.#stdin.write(encodeMessage(message)).catch(() => {}); // It has ended.
  }
}

/**
 * Starts the process, pinned to its CPU if it is to be, and with no more permissions than its kind of socket needs. Deno wants
 * the permission for every address that a datagram is sent to, so that one for the worker's own would not let it answer.
 */
function spawn({ entryPoint, workersPath }: WorkerProgram, config: WorkerConfig): Deno.ChildProcess {
  const deno = [
    "run",
    "--no-prompt",
    "--unstable-net",
    `--allow-read=${workersPath}`,

    config.backend === "reuseport" ? "--allow-ffi" : "--allow-net",
    entryPoint,
    "worker",
    workersPath,
  ];
  const [command, args] = config.cpu === undefined
    ? [denoCommand(), deno]
    : ["taskset", ["--cpu-list", String(config.cpu), Deno.execPath(), ...deno]];
  return new Deno.Command(command, { args, stdin: "piped", stdout: "piped", stderr: "inherit" }).spawn();
}

/** Deno itself by its path if this process may run it by that, else by its name, which is what the task allows. */
function denoCommand(): string {
  const { state } = Deno.permissions.querySync({ name: "run", command: Deno.execPath() });
  return state === "granted" ? Deno.execPath() : "deno";
}
