import type { IdClientOptions } from "../../client.ts";
import { denoCommand } from "../../testing/deno_process.ts";
import { TempDir } from "../../testing/temp_dir.ts";
import { stop, unlessStopped } from "../stop.ts";
import type { Lab } from "./lab.ts";
import type { OwnTarget } from "./target.ts";

const WARM_UP_SECONDS = 1;

/** An `IdClient` in a process of its own, `client_process.ts`, on the second CPU. */
export class MeasuredClient {
  readonly #targets: readonly OwnTarget[];
  readonly #directory: TempDir;
  readonly #child: Deno.ChildProcess;
  readonly #stdin: WritableStreamDefaultWriter<string>;
  readonly #stdout: ReadableStreamDefaultReader<string>;

  private constructor(lab: Lab, targets: readonly OwnTarget[], directory: TempDir, args: (string | number)[]) {
    this.#targets = targets;
    this.#directory = directory;
    this.#child = denoCommand({
      deno: ["run", "--quiet", "--unstable-net", "--allow-net", "--allow-ffi", `--allow-write=${directory.path}`],
      program: "bench/report/client_process.ts",
      args: [...args, String(targets[0].own.ledger.step), targets.length, directory.path],
      cpu: lab.cpu(1),
      stdin: "piped",
      stdout: "piped",
      stderr: "inherit",
      signal: stop,
    }).spawn();
    const lines = new TextEncoderStream();
    lines.readable.pipeTo(this.#child.stdin).catch(() => {}); // it has ended, which its output tells
    this.#stdin = lines.writable.getWriter();
    this.#stdout = this.#child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  }

  /**
   * Starts a client of a server, or of several, and lets it warm up.
   *
   * @param targets The servers, whose node ids are 0, 1 and so on, in one layout.
   * @param options The options of the client.
   * @param callers Calls under way at once.
   */
  static async start(
    lab: Lab,
    targets: readonly OwnTarget[],
    options: IdClientOptions,
    callers: number,
  ): Promise<MeasuredClient> {
    const client = new MeasuredClient(lab, targets, await TempDir.make(), [JSON.stringify(options), callers]);
    await client.idsPerSecond(WARM_UP_SECONDS);
    return client;
  }

  /** Measures how many ids a second it gets. */
  async idsPerSecond(seconds: number): Promise<number> {
    await this.#stdin.write(`${seconds}\n`);
    const { value } = await unlessStopped(this.#stdout.read());
    if (value === undefined) throw new Error("the client has failed");
    return Number(value);
  }

  /** Ends it, and sees to it that no id came twice. */
  async end(): Promise<void> {
    await this.#stdin.close();
    const { success } = await unlessStopped(this.#child.status);
    if (!success) throw new Error("the client has failed");
    for (const [node, { own: { ledger } }] of this.#targets.entries()) {
      ledger.addRanges(new BigUint64Array((await Deno.readFile(`${this.#directory.path}/${node}`)).buffer));
    }
    await this.#directory[Symbol.asyncDispose]();
  }
}
