import { assert } from "@std/assert";
import { denoCommand } from "./deno_process.ts";
import { TempDir } from "./temp_dir.ts";
import { until, within } from "./within.ts";

/** How to start a real server. */
export interface ServerProcessOptions {
  /** Flags of the server, besides --state and --port. */
  flags?: string[];
  /** Default: one that the kernel gives. */
  port?: number;
  /** Default: a directory of its own. */
  state?: TempDir;
  /** Environment variables of the server and its workers. */
  env?: Record<string, string>;
  /** Deno's own flags, in place of the permission set that the task has. */
  deno?: string[];
  /** A command that runs the server, such as `ip netns exec NAME`. */
  runner?: string[];
  /** The checkout whose server to start. Default: this one. */
  cwd?: string;
}

/** A server as a user starts it, in processes of its own. */
export class ServerProcess implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #output = new Output();
  readonly #read: Promise<unknown>;

  readonly state: TempDir;
  private readonly options: ServerProcessOptions;

  private constructor(state: TempDir, options: ServerProcessOptions) {
    this.state = state;
    this.options = options;
    const { flags = [], port = 0, env = {}, deno = ["-P=serve"], runner = [], cwd } = options;
    this.#child = denoCommand({
      runner,
      deno: ["run", "--quiet", "--no-prompt", ...deno, `--allow-read=${state.path}`, `--allow-write=${state.path}`],
      program: "server.ts",
      args: ["--state", state.path, "--port", port, ...flags],
      env,
      ...(cwd === undefined ? {} : { cwd }),
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    this.#child.status.then(() => this.isRunning = false);
    this.#read = Promise.all([this.#output.read(this.#child.stdout), this.#output.read(this.#child.stderr)]);
  }

  /** Starts a server, without waiting until it serves. */
  static async spawn(options: ServerProcessOptions = {}): Promise<ServerProcess> {
    return new ServerProcess(options.state ?? await TempDir.make(), options);
  }

  /** Starts a server and waits until it serves. */
  static async start(options: ServerProcessOptions = {}): Promise<ServerProcess> {
    const server = await ServerProcess.spawn(options);
    await server.says(/try it/);
    return server;
  }

  get pid(): number {
    return this.#child.pid;
  }

  /** Whether it has not ended. */
  isRunning = true;

  /** What it has printed so far, warnings and errors included. */
  get printed(): string {
    return this.#output.text;
  }

  /** The ports that it said it serves. */
  get ports(): number[] {
    const list = this.printed.match(/udp port ([0-9, ]+):/)?.[1];
    assert(list, `no port in: ${this.printed}`);
    return list.split(",").map(Number);
  }

  /** Waits until it has printed what the pattern says, and fails if it ends before. */
  says(pattern: RegExp): Promise<void> {
    return within(`the server says ${pattern}`, this.#output.until(pattern));
  }

  /** The process ids of its workers, in the order of their start. */
  async workerPids(): Promise<number[]> {
    return await processes((line) => line.includes(this.state.path) && line.includes("server.ts worker"));
  }

  /**
   * Waits until every worker has been at work: until it has taken 0.1 s of CPU time, which an idle one takes half a
   * minute for.
   */
  async allWorkersWork(): Promise<void> {
    const before = new Map<number, number>();
    await until("all workers work", async () => {
      const pids = await this.workerPids();
      const ticks = await Promise.all(pids.map(cpuTicks));
      const hasWorked = pids.map((pid, i) => {
        const ticksBefore = before.get(pid) ?? ticks[i];
        before.set(pid, ticksBefore);
        return ticks[i] >= ticksBefore + 10;
      });
      return hasWorked.length > 0 && hasWorked.every(Boolean);
    });
  }

  kill(signal: Deno.Signal): void {
    this.#child.kill(signal);
  }

  /** Waits until it has ended and all it printed is here. */
  async ended(): Promise<Deno.CommandStatus> {
    const status = await within("the server ends", this.#child.status);
    await this.#read;
    return status;
  }

  /** Waits until there is no worker of it left. */
  async workersEnded(): Promise<void> {
    await until("all workers have ended", async () => (await this.workerPids()).length === 0);
  }

  /** Stops it, if it is still running. */
  async stop(): Promise<Deno.CommandStatus> {
    try {
      this.#child.kill("SIGTERM");
    } catch {
      // It has ended.
    }
    return await this.ended();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    if (this.options.state !== undefined) return;
    await this.workersEnded();
    await this.state[Symbol.asyncDispose]();
  }
}

/** What a process prints, and who waits for it. */
class Output {
  text = "";
  #changed = Promise.withResolvers<void>();
  #open = 2;

  async read(stream: ReadableStream<Uint8Array<ArrayBuffer>>) {
    for await (const text of stream.pipeThrough(new TextDecoderStream())) {
      this.text += text;
      this.#notify();
    }
    this.#open--;
    this.#notify();
  }

  async until(pattern: RegExp): Promise<void> {
    while (!pattern.test(this.text)) {
      assert(this.#open > 0, `the server ended without saying ${pattern}: ${this.text}`);
      await this.#changed.promise;
    }
  }

  #notify() {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers<void>();
  }
}

/** The CPU time of a process so far, in 1/100 s; 0 if it has ended. */
export async function cpuTicks(pid: number): Promise<number> {
  const { stdout } = await new Deno.Command("cat", { args: [`/proc/${pid}/stat`], stderr: "null" }).output();
  const fields = new TextDecoder().decode(stdout).split(") ")[1]?.split(" ") ?? [];
  return Number(fields[11] ?? 0) + Number(fields[12] ?? 0);
}

/** Kills a process, unless it has ended by itself. */
export function killIfAlive(pid: number): void {
  try {
    Deno.kill(pid, "SIGKILL");
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

/** The ids of the processes whose command line passes the test. */
async function processes(test: (commandLine: string) => boolean): Promise<number[]> {
  const { stdout } = await new Deno.Command("ps", { args: ["-eo", "pid=,args="] }).output();
  const lines = new TextDecoder().decode(stdout).split("\n").map((line) => line.trim());
  return lines.filter(test).map((line) => parseInt(line));
}
