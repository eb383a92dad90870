/**
 * Says which programs are not installed, and how to install them.
 *
 * @param packages The Debian package of each program.
 * @param env Where to look: PATH. Default: that of this process.
 * @returns `undefined` if all are there.
 */
export async function missingPrograms(
  packages: Record<string, string>,
  env: Record<string, string> = {},
): Promise<string | undefined> {
  // Everything is started by setpriv.
  const needed = Object.entries({ ...packages, setpriv: "util-linux" });
  const isThere = await Promise.all(needed.map(([program]) => isInstalled(program, env)));
  const missing = needed.filter((_, i) => !isThere[i]);
  if (missing.length === 0) return undefined;
  const toInstall = new Set(missing.map(([, debianPackage]) => debianPackage));
  return `no ${missing.map(([program]) => program).join(", ")}: apt-get install ${[...toInstall].join(" ")}`;
}

async function isInstalled(program: string, env: Record<string, string>): Promise<boolean> {
  return (await new Deno.Command("sh", { args: ["-c", `command -v ${program}`], env }).output()).success;
}
