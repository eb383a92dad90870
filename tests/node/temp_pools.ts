import { cString, openLibc } from "../../lib/libc/libc.ts";

/**
 * Paths for pools in `/dev/shm`, where servers have theirs, since a disk takes milliseconds for each pool. Disposing of
 * them removes the pools, through libc: the tests have no permission to write there.
 */
export class TempPools implements Disposable {
  readonly #prefix = `/dev/shm/global-id-test-${crypto.randomUUID()}`;
  readonly #names = new Set<string>();

  /** Names the path of a pool. */
  path(name: string): string {
    this.#names.add(name);
    return `${this.#prefix}-${name}`;
  }

  /** Removes a pool. Processes that have it open keep it. */
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
