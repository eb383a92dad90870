/** How to start a child process. */
export interface ChildOptions {
  /** What the kernel sends it if this process dies, however it dies. Default: SIGKILL. */
  deathSignal?: Deno.Signal;
  /** The user that it is to run as; that takes root. Default: the one of this process. */
  user?: string | undefined;
  /** Environment variables, besides those of this process. */
  env?: Record<string, string>;
  /** What ends it early. */
  signal?: AbortSignal | undefined;
}

/**
 * A command whose process cannot outlive this one: setpriv (util-linux) asks the kernel for that, and becomes the
 * program.
 */
export function childCommand([program, ...args]: string[], options: ChildOptions): Deno.Command {
  const { deathSignal = "SIGKILL", user, env = {}, signal } = options;
  const identity = user === undefined ? [] : ["--reuid", user, "--regid", user, "--init-groups"];
  return new Deno.Command("setpriv", {
    args: [...identity, "--pdeathsig", deathSignal.replace("SIG", ""), program, ...args],
    // What the programs print is read here, so it must be in English and without colours.
    env: { LC_ALL: "C", NO_COLOR: "1", ...env },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
    ...(signal && { signal }),
  });
}
