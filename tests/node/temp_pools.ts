import { cString, openLibc } from "../../lib/libc/libc.ts";

/**
 * Paths for pools where they are in earnest, in memory, since a disk takes milliseconds for each. What lies there is
 * removed at the end. They are dealt with by libc alone: the tests have no permission to write there.
 */
export class TempPools implements Disposable {
  readonly #prefix = `/dev/shm/global-id-test-${crypto.randomUUID()}`;
  readonly #names = new Set<string>();

  /** The path of the pool of this name. */
  path(name: string): string {
    this.#names.add(name);
    return `${this.#prefix}-${name}`;
  }

  /** Removes a pool; whoever has it open keeps it. */
  remove(path: string): void {
    openLibc().unlink(cString(path));
  }

  /** Removes all of them. */
  [Symbol.dispose](): void {
    for (const name of this.#names) {
      const path = this.path(name);
      this.remove(path);
      this.remove(`${path}.new`);
    }
  }
}
