import { TempDir } from "../../testing/temp_dir.ts";

const ROOT = new URL("../../", import.meta.url).pathname;

/** An environment for a server. */
export interface OddEnvironment {
  /** Commands of a shell that make it; `$STATE` is the state directory. */
  readonly script?: string;
  /** Variables of the environment. */
  readonly env?: Record<string, string>;
  /** Deno's permissions. Default: those of the task. */
  readonly permissions?: string;
  /** The flags of the server, for the shell. */
  readonly flags?: string;
  /** Whether to run a worker for every CPU that the server may use, and not just one. */
  readonly isForAllCpus?: boolean;
  /** The program that starts the shell, with its arguments. */
  readonly runner?: readonly string[];
}

/** Starts a server in an odd environment, and stops it as soon as it serves; returns what it printed. */
export async function printedIn(environment: OddEnvironment): Promise<string> {
  const { script = "", env = {}, permissions = "-P=serve", runner = [] } = environment;
  const { flags = '--state "$STATE"', isForAllCpus = false } = environment;
  await using temp = await TempDir.make();
  const deno = `"$DENO" run --quiet --no-prompt ${permissions} server.ts --port 0 ${
    isForAllCpus ? "" : "--workers 1"
  } ${flags}`;
  const [command, ...args] = [...runner, "sh", "-c", `${script}\nexec ${deno} 2>&1`];
  const child = new Deno.Command(command, {
    args,
    cwd: ROOT,
    env: { NO_COLOR: "1", STATE: temp.path, DENO: Deno.execPath(), DENO_DIR: await denoDir(), ...env },
    stdin: "null",
    stdout: "piped",
  }).spawn();
  let printed = "";
  for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) {
    printed += text;
    if (/try it/.test(text)) await terminate(child.pid, { isForked: runner.includes("--fork") });
  }
  await child.status;
  return printed;
}

/** The shell has become the server, in the place of its runner or, after --fork, as the runner's child. */
async function terminate(pid: number, { isForked }: { isForked: boolean }): Promise<void> {
  const script = isForked ? 'kill -TERM $(pgrep -P "$1")' : 'kill -TERM "$1"';
  await new Deno.Command("sh", { args: ["-c", script, "sh", String(pid)] }).output();
}

/** Where Deno has its cache, which it could not find without a home directory. */
async function denoDir(): Promise<string> {
  const { stdout } = await new Deno.Command(Deno.execPath(), { args: ["info", "--json"] }).output();
  return JSON.parse(new TextDecoder().decode(stdout)).denoDir;
}
