const PARENT = new URL("../.tmp", import.meta.url).pathname;

/** A directory of a test's own, removed at the end, in the one place where the tests have the permission to write. */
export class TempDir implements AsyncDisposable {
  private constructor(readonly path: string) {}

  static async make(): Promise<TempDir> {
    await Deno.mkdir(PARENT, { recursive: true });
    return new TempDir(await Deno.makeTempDir({ dir: PARENT }));
  }

  async [Symbol.asyncDispose]() {
    await Deno.remove(this.path, { recursive: true });
  }
}
