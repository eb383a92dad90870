const ROOT = new URL("../", import.meta.url).pathname;

/** How to run Deno, besides what a command can be told anyway. */
export interface DenoOptions extends Omit<Deno.CommandOptions, "args"> {
  /** The arguments of Deno itself, such as `run` and permissions. */
  readonly deno: readonly string[];
  /** The program, as a path in the project or a URL; none for a task or a test. */
  readonly program?: string;
  /** The arguments of the program. */
  readonly args?: readonly (string | number)[];
  /** The CPU that the process is pinned to. Default: any. */
  readonly cpu?: number;
  /** A command that runs the process, such as `ip netns exec NAME`. */
  readonly runner?: readonly string[];
}

/** What a process has come to. */
export interface DenoOutput {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** A command that runs this version of Deno in the project's directory, without colors. */
export function denoCommand(
  { deno, program, args = [], cpu, runner = [], env, ...options }: DenoOptions,
): Deno.Command {
  const words = [...runner, Deno.execPath(), ...deno, ...program === undefined ? [] : [program], ...args.map(String)];
  if (cpu !== undefined) words.unshift("taskset", "--cpu-list", String(cpu));
  const [command, ...rest] = words;
  return new Deno.Command(command, { cwd: ROOT, ...options, args: rest, env: { NO_COLOR: "1", ...env } });
}

/** Runs Deno to its end. */
export async function runDeno(options: DenoOptions): Promise<DenoOutput> {
  const { code, stdout, stderr } = await denoCommand(options).output();
  const decoder = new TextDecoder();
  return { code, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
}
