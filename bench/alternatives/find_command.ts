/**
 * Finds a program.
 *
 * @param name The program.
 * @param directories Where to look before the directories of PATH.
 * @returns Its path; `undefined` if it is not installed.
 */
export async function findCommand(name: string, directories: string[] = []): Promise<string | undefined> {
  for (const directory of [...directories, ...(Deno.env.get("PATH") ?? "").split(":")]) {
    const path = `${directory}/${name}`;
    try {
      if ((await Deno.stat(path)).isFile) return path;
    } catch {
      // It is not there.
    }
  }
  return undefined;
}

/**
 * Says which programs are not installed, and how to install them.
 *
 * @param packages The Debian package of each program.
 * @param directories Where to look before the directories of PATH.
 * @returns `undefined` if all are there.
 */
export async function missingCommands(
  packages: Record<string, string>,
  directories: string[] = [],
): Promise<string | undefined> {
  // Everything is started by setpriv.
  const needed = Object.entries({ ...packages, setpriv: "util-linux" });
  const found = await Promise.all(needed.map(([name]) => findCommand(name, directories)));
  const missing = needed.filter((_, i) => found[i] === undefined);
  if (missing.length === 0) return undefined;
  const commands = missing.map(([command]) => command).join(", ");
  const toInstall = new Set(missing.map(([, debianPackage]) => debianPackage));
  return `no ${commands}: apt-get install ${[...toInstall].join(" ")}`;
}
