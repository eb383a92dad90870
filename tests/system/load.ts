import { assert, assertEquals } from "@std/assert";
import { denoCommand } from "../../testing/deno_process.ts";
import { within } from "../../testing/within.ts";
import { twoCpus } from "./two_cpus.ts";

/** A process that asks for ids, each with a datagram of its own, until its stdin ends. */
export interface LoadProcessOptions {
  /** The CPU that it is pinned to. */
  readonly cpu: number;
  readonly ports: readonly number[];
  readonly sockets: number;
  /** What becomes of the ids that it prints. */
  readonly stdout: "piped" | "null";
}

/** A command that asks a server for ids: `load_process.ts`. */
export function loadCommand({ cpu, ports, sockets, stdout }: LoadProcessOptions): Deno.Command {
  return denoCommand({
    deno: ["run", "--quiet", "--allow-net=127.0.0.1"],
    program: new URL("./load_process.ts", import.meta.url).href,
    args: [ports.join(","), sockets],
    cpu,
    stdin: "piped",
    stdout,
  });
}

/** Every id that was ever received in a test, and whether one of them came twice. */
export class ReceivedIds {
  readonly all = new Set<bigint>();
  #received = 0;
  readonly #waiting = new Set<{ isWanted: (id: bigint) => boolean; left: number; resolve: () => void }>();

  add(id: bigint): void {
    this.#received++;
    this.all.add(id);
    for (const waiting of this.#waiting) {
      if (!waiting.isWanted(id) || --waiting.left > 0) continue;
      this.#waiting.delete(waiting);
      waiting.resolve();
    }
  }

  /** Waits until so many more ids have come, of the kind that the test is interested in. */
  more(count: number, isWanted: (id: bigint) => boolean = () => true): Promise<void> {
    const come = new Promise<void>((resolve) => this.#waiting.add({ isWanted, left: count, resolve }));
    return within(`${count} more ids`, come);
  }

  assertUnique(): void {
    assert(this.#received > 0, "no id was received at all");
    assertEquals(this.#received - this.all.size, 0, "ids that were received twice");
  }
}

/** As `load_process.ts` writes ids. */
const IS_LITTLE_ENDIAN = true;

/** What a {@linkcode Load} asks, and where the ids go. */
export interface LoadOptions {
  readonly ids: ReceivedIds;
  readonly ports: readonly number[];
  /** How many sockets each of the processes has. */
  readonly socketsEach: number;
}

/** Load from processes of its own, one pinned to each of the first two CPUs that this process may use. */
export class Load implements AsyncDisposable {
  readonly #children: Deno.ChildProcess[];
  readonly #read: Promise<unknown>;
  #stopped: Promise<void> | undefined;

  private readonly options: LoadOptions;

  private constructor(options: LoadOptions, cpus: readonly number[]) {
    this.options = options;
    const { ports, socketsEach } = options;
    this.#children = cpus.map((cpu) => loadCommand({ cpu, ports, sockets: socketsEach, stdout: "piped" }).spawn());
    this.#read = Promise.all(this.#children.map((child) => this.#keep(child.stdout)));
  }

  /** Starts two processes of load, with so many sockets each. */
  static async start(options: LoadOptions): Promise<Load> {
    return new Load(options, await twoCpus());
  }

  /** Ends the load and waits until all ids are here. */
  stop(): Promise<void> {
    return this.#stopped ??= this.#stop();
  }

  async #stop(): Promise<void> {
    await Promise.all(this.#children.map((child) => child.stdin.close()));
    await this.#read;
    await Promise.all(this.#children.map((child) => child.status));
  }

  /** Ends the load of a test that has failed, too: it would slow down those that follow. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  async #keep(stream: ReadableStream<Uint8Array<ArrayBuffer>>): Promise<void> {
    let rest = new Uint8Array();
    for await (const chunk of stream) {
      const bytes = new Uint8Array(rest.length + chunk.length);
      bytes.set(rest);
      bytes.set(chunk, rest.length);
      const whole = bytes.length - bytes.length % 8;
      const view = new DataView(bytes.buffer);
      for (let offset = 0; offset < whole; offset += 8) {
        this.options.ids.add(view.getBigUint64(offset, IS_LITTLE_ENDIAN));
      }
      rest = bytes.slice(whole);
    }
  }
}
