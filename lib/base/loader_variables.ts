/** What the dynamic loader reads: see ld.so(8) and dyld(1). Deno tells these names without regard to letter case. */
const LOADER_VARIABLE = /^(LD|DYLD)_/i;

/**
 * Names the environment variables that no child process may inherit: with a scoped `--allow-run`, Deno starts no
 * process that has a variable of the dynamic loader. Where all programs may be run, children inherit them.
 *
 * @returns The names; none without the permission `--allow-env`, since they are not known then.
 */
export function withheldVariables(): string[] {
  const isGranted = (name: "run" | "env") => Deno.permissions.querySync({ name }).state === "granted";
  if (isGranted("run") || !isGranted("env")) return [];
  const variables = Object.entries(Deno.env.toObject());
  return variables.filter(([name, value]) => LOADER_VARIABLE.test(name) && value !== "").map(([name]) => name);
}

/** Gives a child process each of {@linkcode withheldVariables} as empty, which the loader takes for unset. */
export function childEnv(): Record<string, string> {
  return Object.fromEntries(withheldVariables().map((name) => [name, ""]));
}
