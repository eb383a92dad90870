import { describe } from "../base/check.ts";

/** The cluster of servers and clients that name none. */
export const DEFAULT_CLUSTER = "global-id";

const MAX_CHARACTERS = 64;

/**
 * Checks the name of a cluster: the servers and clients of one system, whose node ids somebody keeps apart. Two systems
 * with one key need two names, since a request of one is a request of the other otherwise: see `mac.ts`.
 *
 * @param name The name: 1 to 64 printable ASCII characters without spaces. Other characters have several encodings that
 * look the same.
 * @returns The name.
 * @throws {TypeError} If it is not a string at all.
 * @throws {RangeError} If it is a string, but not such a name.
 */
export function checkCluster(name: unknown): string {
  if (typeof name !== "string") throw new TypeError(`cluster must be a string: got ${describe(name)}`);
  if (name.length > MAX_CHARACTERS || !/^[!-~]+$/.test(name)) {
    throw new RangeError(
      `cluster must be 1 to ${MAX_CHARACTERS} printable ASCII characters without spaces: got ${describe(name)}`,
    );
  }
  return name;
}
