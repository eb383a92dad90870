/**
 * Reads an environment variable.
 *
 * @param name The variable.
 * @returns Its value; `undefined` if it is not set or empty, or this process may not read it.
 */
export function readEnv(name: string): string | undefined {
  const { state } = Deno.permissions.querySync({ name: "env", variable: name });
  return state === "granted" ? Deno.env.get(name) || undefined : undefined;
}
