import { assert, assertEquals } from "@std/assert";
import { denoCommand } from "../../testing/deno_process.ts";
import { TempDir } from "../../testing/temp_dir.ts";
import { until, within } from "../../testing/within.ts";
import { killIfAlive } from "../../testing/server_process.ts";
import { RECORD_BYTES, RequestRecords } from "./request_records.ts";
import { twoCpus } from "./two_cpus.ts";

/** Asks with one request in flight a socket, until it is stopped: `asking_process.ts`. */
export interface AskingOptions {
  readonly socketsEach: number;
  /** How long an answer is waited for, in ms. */
  readonly patienceMs: number;
  /** How long each socket pauses after an answer, in ms. */
  readonly pauseMs: number;
}

/** Asks as fast as it can, so many times: `flooding_process.ts`. */
export interface FloodingOptions {
  readonly socketsEach: number;
  readonly requestsEach: number;
  readonly seed: number;
}

/**
 * Load whose every request is on record, from a process pinned to each of the first two CPUs that this process may use.
 */
export class RecordedLoad implements AsyncDisposable {
  readonly #files: string[];
  readonly #children: Deno.ChildProcess[];
  #ended: Promise<void> | undefined;
  #hasEnded = false;

  private readonly dir: TempDir;

  private constructor(dir: TempDir, program: string, port: number, args: string[][], cpus: number[]) {
    this.dir = dir;
    this.#files = cpus.map((_, i) => `${dir.path}/records-${i}`);
    this.#children = cpus.map((cpu, i) =>
      denoCommand({
        deno: ["run", "--quiet", "--allow-net", "--allow-ffi", `--allow-write=${dir.path}`],
        program: new URL(program, import.meta.url).href,
        args: [port, this.#files[i], ...args[i]],
        cpu,
        stdin: "piped",
      }).spawn()
    );
    for (const child of this.#children) child.status.then(() => this.#hasEnded = true);
  }

  /** Starts to ask a server that has ids. */
  static async ask(port: number, { socketsEach, patienceMs, pauseMs }: AskingOptions): Promise<RecordedLoad> {
    const args = [socketsEach, patienceMs, pauseMs].map(String);
    return await RecordedLoad.#start("./asking_process.ts", port, [args, args]);
  }

  /** Starts to flood a server that has ids. */
  static async flood(port: number, { socketsEach, requestsEach, seed }: FloodingOptions): Promise<RecordedLoad> {
    const args = [seed, seed + 1].map((seed) => [socketsEach, requestsEach, seed].map(String));
    return await RecordedLoad.#start("./flooding_process.ts", port, args);
  }

  static async #start(program: string, port: number, args: string[][]): Promise<RecordedLoad> {
    return new RecordedLoad(await TempDir.make(), program, port, args, await twoCpus());
  }

  /** Waits until so many more requests of each process are on record. */
  async more(count: number): Promise<void> {
    const wanted = this.#files.map((file) => recordsIn(file) + count);
    await until(`${count} more requests of each process`, () => {
      assert(!this.#hasEnded, "a process of the load has ended by itself");
      return this.#files.every((file, i) => recordsIn(file) >= wanted[i]);
    });
  }

  /** Waits until all is on record that was to be sent, and returns it. */
  async finish(): Promise<RequestRecords> {
    await within("the load ends", this.#end());
    return await RequestRecords.read(this.#files);
  }

  /** Ends the load, and returns all that is on record. */
  async stop(): Promise<RequestRecords> {
    for (const child of this.#children) await child.stdin.close();
    return await this.finish();
  }

  /** Ends the load of a test that has failed, too: it would slow down those that follow. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const child of this.#children) killIfAlive(child.pid);
    await Promise.all(this.#children.map((child) => child.status));
    await this.dir[Symbol.asyncDispose]();
  }

  #end(): Promise<void> {
    return this.#ended ??= (async () => {
      const statuses = await Promise.all(this.#children.map((child) => child.status));
      assertEquals(statuses.map(({ code }) => code), statuses.map(() => 0), "exit codes of the load");
    })();
  }
}

function recordsIn(path: string): number {
  try {
    return Math.floor(Deno.statSync(path).size / RECORD_BYTES);
  } catch (error) {
    assert(error instanceof Deno.errors.NotFound, `${error}`);
    return 0;
  }
}
