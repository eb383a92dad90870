import { within } from "../../testing/within.ts";
import { stop } from "../stop.ts";

/** How long a server may take to end after its stop signal, in ms, before it is killed. */
const STOP_LIMIT_MS = 10_000;

/** How often to try a free port: another process may take it between the question and the use. */
const PORT_ATTEMPTS = 3;

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
  const output = await childCommand(command, "SIGKILL", options, stop).output();
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
  readonly #ready = Promise.withResolvers<void>();
  readonly #read: Promise<unknown>;

  private constructor(command: string[], options: ServerOptions) {
    this.#child = childCommand(command, options.stopSignal, options).spawn();
    this.#stopSignal = options.stopSignal;
    const { stdout, stderr } = this.#child;
    this.#read = Promise.all([stdout, stderr].map((stream) => this.#readFrom(stream, options.isReady)));
    this.#read.then(() => this.#ready.reject(new Error(`${command[0]} ended: ${this.printed.trim()}`)));
    this.#ready.promise.catch(() => {}); // Once the server is ready, nobody waits for this promise.
  }

  /**
   * Starts a server, and waits until it serves.
   *
   * @throws {Error} If it ends before; with its output.
   */
  static async start(command: string[], options: ServerOptions): Promise<ServerProgram> {
    const program = new ServerProgram(command, options);
    try {
      await within(`${command[0]} is ready`, program.#ready.promise);
      return program;
    } catch (error) {
      await program[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Stops it, and waits until it has ended. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#kill(this.#stopSignal);
    const timer = setTimeout(() => this.#kill("SIGKILL"), STOP_LIMIT_MS);
    await this.#child.status;
    clearTimeout(timer);
    await this.#read;
  }

  #kill(signal: Deno.Signal): void {
    try {
      this.#child.kill(signal);
    } catch {
      // It has ended.
    }
  }

  async #readFrom(stream: ReadableStream<Uint8Array<ArrayBuffer>>, isReady: ServerOptions["isReady"]) {
    for await (const text of stream.pipeThrough(new TextDecoderStream())) {
      this.printed += text;
      if (isReady(this.printed)) this.#ready.resolve();
    }
  }
}

/**
 * Starts a server that cannot take port 0 on a TCP port of 127.0.0.1 that the kernel gives.
 *
 * @param start Starts it on that port.
 * @returns The port and the server.
 */
export async function startOnFreePort<T>(start: (port: number) => Promise<T>): Promise<[port: number, server: T]> {
  for (let attempt = 1;; attempt++) {
    try {
      const port = freePort();
      return [port, await start(port)];
    } catch (error) {
      if (attempt === PORT_ATTEMPTS || !/address already in use/i.test(String(error))) throw error;
    }
  }
}

function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}

/**
 * A command whose process cannot outlive this one: setpriv (util-linux) asks the kernel for that, and becomes the
 * program.
 */
function childCommand(
  [program, ...args]: string[],
  deathSignal: Deno.Signal,
  { user, env = {} }: ChildOptions,
  signal?: AbortSignal,
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
