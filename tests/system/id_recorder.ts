import { denoCommand } from "../../testing/deno_process.ts";
import { until } from "../../testing/within.ts";

/** An id, and when it came, in ms since the Unix epoch. */
export interface RecordedId {
  readonly atMs: number;
  readonly id: bigint;
}

/** Takes ids from a server on the server's own machine, every 10 ms, and keeps all: `recorder_process.ts`. */
export class IdRecorder implements AsyncDisposable {
  readonly ids: RecordedId[] = [];
  readonly #child: Deno.ChildProcess;
  readonly #read: Promise<void>;

  /** Begins to ask. */
  constructor(runner: readonly string[], hostname: string, port: number) {
    this.#child = denoCommand({
      runner,
      deno: ["run", "--quiet", "--unstable-net", "--allow-net", "--allow-ffi"],
      program: new URL("./recorder_process.ts", import.meta.url).href,
      args: [hostname, port],
      stdin: "piped",
      stdout: "piped",
    }).spawn();
    this.#read = this.#readIds();
  }

  /** When the last id came; -Infinity if there was none. */
  get lastMs(): number {
    return this.ids.at(-1)?.atMs ?? -Infinity;
  }

  /** Waits for a new id, and returns when it came. */
  async next(): Promise<number> {
    const count = this.ids.length;
    await until("there is an id", () => this.ids.length > count);
    return this.ids[count].atMs;
  }

  /** The longest time without ids between two moments, in ms. */
  longestGapMs(fromMs: number, toMs: number): number {
    const within = this.ids.map(({ atMs }) => atMs).filter((atMs) => atMs >= fromMs && atMs <= toMs);
    const moments = [fromMs, ...within, toMs];
    return Math.max(...moments.slice(1).map((atMs, i) => atMs - moments[i]));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#child.stdin.close().catch(() => {}); // it may have ended
    await this.#child.status;
    await this.#read;
  }

  async #readIds(): Promise<void> {
    let rest = "";
    for await (const text of this.#child.stdout.pipeThrough(new TextDecoderStream())) {
      const lines = (rest + text).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) {
        const [atMs, id] = line.split(" ");
        this.ids.push({ atMs: Number(atMs), id: BigInt(id) });
      }
    }
  }
}
