import { within } from "../../testing/within.ts";
import { childCommand, type ChildOptions } from "./child_command.ts";

/** How long it may take to end when it is asked to, in ms. */
const STOP_LIMIT_MS = 10_000;

/** How to start a server, and how to tell that it serves. */
export interface BackgroundOptions extends ChildOptions {
  /** Tells from all that it has printed so far whether it serves. */
  isReady: (printed: string) => boolean;
  /** What makes it end. Also sent if this process dies. */
  deathSignal: Deno.Signal;
}

/** A server in the background. */
export class BackgroundProgram implements AsyncDisposable {
  /** What it has printed so far. */
  printed = "";
  readonly #child: Deno.ChildProcess;
  readonly #stopSignal: Deno.Signal;
  readonly #ready = Promise.withResolvers<void>();
  readonly #read: Promise<unknown>;

  private constructor(command: string[], options: BackgroundOptions) {
    this.#child = childCommand(command, options).spawn();
    this.#stopSignal = options.deathSignal;
    const { stdout, stderr } = this.#child;
    this.#read = Promise.all([stdout, stderr].map((stream) => this.#readFrom(stream, options.isReady)));
    this.#read.then(() => this.#ready.reject(new Error(`${command[0]} ended: ${this.printed.trim()}`)));
    this.#ready.promise.catch(() => {}); // Once it is ready, nobody waits for that.
  }

  /**
   * Starts a server, and waits until it serves.
   *
   * @throws {Error} If it ends before; with what it printed.
   */
  static async start(command: string[], options: BackgroundOptions): Promise<BackgroundProgram> {
    const program = new BackgroundProgram(command, options);
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

  async #readFrom(stream: ReadableStream<Uint8Array<ArrayBuffer>>, isReady: BackgroundOptions["isReady"]) {
    for await (const text of stream.pipeThrough(new TextDecoderStream())) {
      this.printed += text;
      if (isReady(this.printed)) this.#ready.resolve();
    }
  }
}
