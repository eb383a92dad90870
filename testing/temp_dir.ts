const PARENT = new URL("../.tmp", import.meta.url).pathname;

/** A directory of a test's own, removed at the end, in the one place where the tests have the permission to write. */
export class TempDir implements AsyncDisposable {
  readonly path: string;

  private constructor(path: string) {
    this.path = path;
  }

  static async make(): Promise<TempDir> {
    await Deno.mkdir(PARENT, { recursive: true });
    return new TempDir(await Deno.makeTempDir({ dir: PARENT }));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await removePools(this.path);
    await Deno.remove(this.path, { recursive: true });
  }
}

/**
 * Removes the pools of all servers that had their state in a directory, or in one of those that are in it: see
 * `poolPathOf`.
 */
export async function removePools(dir: string): Promise<void> {
  const { dev, ino } = Deno.statSync(dir);
  const entries = [...Deno.readDirSync(dir)];
  for (const { name, isDirectory } of entries) if (isDirectory) await removePools(`${dir}/${name}`);
  if (!entries.some(({ name }) => /^node-[0-9]+\.lock$/.test(name))) return;
  // Not by Deno itself, which may write nowhere else in a test.
  const pools = `/dev/shm/global-id-*-${dev.toString(16)}-${ino?.toString(16)}-node-*`;
  await new Deno.Command("sh", { args: ["-c", `rm -rf ${pools}`] }).output();
}
