import { assert, assertEquals } from "@std/assert";
import { until } from "../../testing/within.ts";
import { TempDir } from "../../testing/temp_dir.ts";

const ROOT = new URL("../../", import.meta.url).pathname;

/** Where the image has its files. */
const IMAGE = "/usr/local/lib";

/** As deploy/kubernetes/ has it. */
const USER = "65532";

/** Takes from a process what the pod's security context takes, so that it is not root any more. */
const UNPRIVILEGED = ["setpriv", `--reuid=${USER}`, `--regid=${USER}`, "--clear-groups", "--no-new-privs"]
  .concat("--bounding-set=-all", "--inh-caps=-all");

/** What a Containerfile says. */
interface Containerfile {
  /** The variables of ENV. */
  readonly env: string[];
  /** The command of RUN. */
  readonly run: string;
  /** The words of ENTRYPOINT. */
  readonly entryPoint: string[];
}

/** Reads deploy/Containerfile, which has each of these once. */
export function readContainerfile(): Containerfile {
  const text = Deno.readTextFileSync(`${ROOT}deploy/Containerfile`).replaceAll("\\\n", "");
  const valueOf = (name: string) => new RegExp(`^${name} (.+)$`, "m").exec(text)?.[1] ?? "";
  return { env: valueOf("ENV").split(" "), run: valueOf("RUN"), entryPoint: JSON.parse(valueOf("ENTRYPOINT")) };
}

/** The files of the image, made by the commands of the Containerfile. */
export class Image implements AsyncDisposable {
  readonly containerfile = readContainerfile();
  readonly #temp: TempDir;

  private constructor(temp: TempDir) {
    this.#temp = temp;
  }

  /** Builds it. */
  static async build(): Promise<Image> {
    const image = new Image(await TempDir.make());
    const { path, containerfile: { run, env } } = image;
    // As COPY and `RUN` do, with Deno in place of the base image.
    await sh(`mkdir -p ${path}/global-id ${path}/deno-dir ${path}/bin && chmod 755 ${path}`);
    await sh(`cd ${ROOT} && cp -r deno.json deno.lock *.ts lib links ${path}/global-id`);
    await sh(`cp --reflink=auto ${Deno.execPath()} ${path}/bin/deno`);
    const elsewhere = (text: string) => text.replaceAll(`${IMAGE}/`, `${path}/`);
    await sh(`cd ${path}/global-id && ${elsewhere(env.join(" "))} && export DENO_DIR && ${elsewhere(run)}`);
    return image;
  }

  /** The directory that is at {@linkcode IMAGE} in a container. */
  get path(): string {
    return this.#temp.path;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#temp[Symbol.asyncDispose]();
  }
}

/**
 * What lives as long as a pod: a mount namespace with the image, a file system that nobody can write to, and the memory
 * at /dev/shm and /srv.
 */
export class Pod implements AsyncDisposable {
  readonly #image: Image;
  readonly #child: Deno.ChildProcess;

  private constructor(image: Image, child: Deno.ChildProcess) {
    this.#image = image;
    this.#child = child;
  }

  /** Makes one. */
  static async make(image: Image): Promise<Pod> {
    const mounts = [
      `mount --bind ${image.path} ${IMAGE}`,
      "mount -o remount,ro,bind /",
      `mount -o remount,ro,bind ${IMAGE}`,
      "mount -t tmpfs -o mode=0777,size=16m tmpfs /dev/shm && mount --bind /dev/shm /srv",
    ];
    const args = ["--mount", "--propagation", "private", "sh", "-c", `${mounts.join(" && ")} && echo ready && cat`];
    const child = new Deno.Command("unshare", { args, stdin: "piped", stdout: "piped" }).spawn();
    const reader = child.stdout.getReader();
    assertEquals(new TextDecoder().decode((await reader.read()).value), "ready\n");
    reader.releaseLock();
    return new Pod(image, child);
  }

  /** A command in a container of the pod, which has the process ids to itself. */
  command(env: Record<string, string>, words: readonly string[]): string[] {
    const variables = [...this.#image.containerfile.env, `PATH=${IMAGE}/bin:/usr/bin:/bin`]
      .concat(Object.entries(env).map(([name, value]) => `${name}=${value}`));
    return ["nsenter", `--mount=/proc/${this.#child.pid}/ns/mnt`, `--wdns=${IMAGE}/global-id`]
      .concat("unshare", "--mount", "--pid", "--fork", "--mount-proc")
      .concat(UNPRIVILEGED, "env", "-i", variables, words);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#child.stdin.close();
    await this.#child.stdout.cancel();
    await this.#child.status;
  }
}

/** The first process of a container. */
export class Container implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #read: Promise<unknown>;
  #hasEnded = false;
  /** What it has printed. */
  printed = "";

  constructor([command, ...args]: readonly string[]) {
    this.#child = new Deno.Command(command, { args, stdin: "null", stdout: "piped", stderr: "piped" }).spawn();
    const { stdout, stderr } = this.#child;
    this.#read = Promise.all([stdout, stderr].map(async (stream) => {
      for await (const text of stream.pipeThrough(new TextDecoderStream())) this.printed += text;
    }));
  }

  /** Waits until it has printed what the pattern says. */
  async says(pattern: RegExp): Promise<void> {
    await until(`the container says ${pattern}`, () => pattern.test(this.printed)).catch(({ message }) => {
      throw new Error(`${message}: ${this.printed}`);
    });
  }

  /** Sends it a signal. With SIGKILL, all its processes end. Returns the exit code that the container has then. */
  async end(signal: "TERM" | "KILL"): Promise<number> {
    await sh(`kill -${signal} $(cat /proc/${this.#child.pid}/task/${this.#child.pid}/children)`);
    const { code } = await this.#child.status;
    this.#hasEnded = true;
    await this.#read;
    return code;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#hasEnded) await this.end("KILL");
  }
}

/** Why there can be no pod here; `undefined` if there can. */
export async function whyNoPods(): Promise<string | undefined> {
  const words = ["--mount", "--propagation", "private", "--pid", "--fork", "--mount-proc", ...UNPRIVILEGED, "true"];
  const { success, stderr } = await new Deno.Command("unshare", { args: words }).output();
  return success ? undefined : `pods need root and util-linux: ${new TextDecoder().decode(stderr).trim()}`;
}

async function sh(script: string): Promise<void> {
  const { success, stderr } = await new Deno.Command("sh", { args: ["-c", script], stdin: "null" }).output();
  assert(success, `${script}: ${new TextDecoder().decode(stderr)}`);
}
