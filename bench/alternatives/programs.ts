import { until, within } from "../../testing/within.ts";
import { stop } from "../stop.ts";

/** How to start a child process. */
export interface ChildOptions {
  /** The user that it runs as; only root can choose one. Default: the one of this process. */
  user?: string | undefined;
  /** Environment variables, besides those of this process. */
  env?: Record<string, string>;
}

/** How to start a server, and how to tell that it serves. */
export interface ServerOptions extends ChildOptions {
  /** Tells from all that it has printed so far whether it serves. */
  isReady: (printed: string) => boolean;
  /** Ends it; the kernel sends this signal too if this process dies. */
  stopSignal: Deno.Signal;
}

/**
 * Runs a program to its end.
 *
 * @returns Its standard output.
 * @throws {Error} If it fails; with its output.
 * @throws {DOMException} If this process is to stop.
 */
export async function runProgram(command: string[], options: ChildOptions = {}): Promise<string> {
  stop.throwIfAborted();
  const output = await childCommand(command, "SIGKILL", { ...options, signal: stop }).output();
  stop.throwIfAborted();
  const [stdout, stderr] = [output.stdout, output.stderr].map((bytes) => new TextDecoder().decode(bytes));
  if (!output.success) throw new Error(`${command[0]} failed: ${(stderr + stdout).trim()}`);
  return stdout;
}

/** A server in the background. */
export class ServerProgram implements AsyncDisposable {
  /** All that it has printed so far. */
  printed = "";
  readonly #child: Deno.ChildProcess;
  readonly #stopSignal: Deno.Signal;
  readonly #read: Promise<unknown>;
  #isRunning = true;

  private constructor(command: string[], options: ServerOptions) {
    this.#child = childCommand(command, options.stopSignal, options).spawn();
    this.#stopSignal = options.stopSignal;
    this.#read = Promise.all([this.#child.stdout, this.#child.stderr].map((stream) => this.#readFrom(stream)));
    this.#read.then(() => this.#isRunning = false);
  }

  /**
   * Starts a server, and waits until it serves.
   *
   * @throws {Error} If it ends before; with its output.
   */
  static async start(command: string[], options: ServerOptions): Promise<ServerProgram> {
    await using stack = new AsyncDisposableStack();
    const program = stack.use(new ServerProgram(command, options));
    await until(`${command[0]} is ready`, () => {
      if (!program.#isRunning) throw new Error(`${command[0]} ended: ${program.printed.trim()}`);
      return options.isReady(program.printed);
    });
    stack.move();
    return program;
  }

  /** Stops it, and waits until it has ended. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#isRunning) this.#child.kill(this.#stopSignal);
    await within("the server ends", this.#read);
    await this.#child.status;
  }

  async #readFrom(stream: ReadableStream<Uint8Array<ArrayBuffer>>): Promise<void> {
    for await (const text of stream.pipeThrough(new TextDecoderStream())) this.printed += text;
  }
}

/** A TCP port of 127.0.0.1 that is free now, for a server that cannot take port 0. */
export function freePort(): string {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return String(listener.addr.port);
}

/**
 * A command whose process cannot outlive this one: setpriv (util-linux) asks the kernel for that, and becomes the
 * program.
 */
function childCommand(
  [program, ...args]: string[],
  deathSignal: Deno.Signal,
  { user, env = {}, signal }: ChildOptions & { signal?: AbortSignal },
): Deno.Command {
  const identity = user === undefined ? [] : ["--reuid", user, "--regid", user, "--init-groups"];
  return new Deno.Command("setpriv", {
    args: [...identity, "--pdeathsig", deathSignal.replace("SIG", ""), program, ...args],
    // The output is parsed, so it must be in English and without colours.
    env: { LC_ALL: "C", NO_COLOR: "1", ...env },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
    ...(signal && { signal }),
  });
}
