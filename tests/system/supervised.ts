import { assert } from "@std/assert";
import type { ServeOptions } from "../../lib/server/serve_options.ts";
import { supervise } from "../../lib/server/supervisor.ts";
import type { TempDir } from "../../testing/temp_dir.ts";
import { until, within } from "../../testing/within.ts";
import { DEFAULTS } from "../server/serve_defaults.ts";

/** A supervisor in this process, whose workers are those of `lying_worker.ts`. */
export class Supervised implements AsyncDisposable {
  readonly lines: string[] = [];
  readonly ended: Promise<void>;
  readonly #stop = new AbortController();
  #reload = () => {};

  private constructor(stateDir: string, lie: Record<string, string>, options: Partial<ServeOptions>) {
    const entryPoint = new URL(`lying_worker.ts?${new URLSearchParams(lie)}`, import.meta.url).href;
    const note = (line: string) => void this.lines.push(line);
    this.ended = supervise(
      { ...DEFAULTS, port: 0, workers: 2, stateDir, ...options },
      entryPoint,
      { stop: this.#stop.signal, onReload: (listener) => void (this.#reload = listener) },
      { info: note, warn: note },
    );
    this.ended.catch(() => {});
  }

  /** Starts without waiting until the workers serve. */
  static spawn(temp: TempDir, lie: Record<string, string>, options: Partial<ServeOptions> = {}): Supervised {
    return new Supervised(`${temp.path}/state`, lie, options);
  }

  static async start(...args: Parameters<typeof Supervised.spawn>): Promise<Supervised> {
    const server = Supervised.spawn(...args);
    await server.says(/try it/);
    return server;
  }

  async says(pattern: RegExp): Promise<string> {
    let line: string | undefined;
    const isSaid = () => (line = this.lines.find((line) => pattern.test(line))) !== undefined;
    const said = until(`the server says ${pattern}`, isSaid);
    await Promise.race([said, this.ended.then(() => assert(isSaid(), `it ended: ${this.lines.join("\n")}`))]);
    return line ?? "";
  }

  get ports(): number[] {
    const line = this.lines.find((line) => /udp port/.test(line)) ?? "";
    return (line.match(/udp port ([0-9, ]+):/)?.[1] ?? "").split(",").map(Number);
  }

  reload(): void {
    this.#reload();
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await within("the server ends", this.ended);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.ended.catch(() => {});
  }
}
