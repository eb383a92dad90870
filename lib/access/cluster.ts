import { describe } from "../base/check.ts";

/** The cluster of servers and clients that name none. */
export const DEFAULT_CLUSTER = "global-id";

const MAX_CHARACTERS = 64;
const RULE = `1 to ${MAX_CHARACTERS} printable ASCII characters without spaces`;

/**
 * Tells the name of a server's or a client's cluster. Both tell it by this function, so that they agree.
 *
 * @param given The name that an operator or a program gives it, if any.
 * @param storeName The name of the store that the servers share, if any.
 * @returns The name given; else the store's; else {@linkcode DEFAULT_CLUSTER}.
 * @throws {TypeError | RangeError} If that is no name of a cluster: see {@linkcode checkCluster}.
 */
export function clusterOf(given: string | undefined, storeName: string | undefined): string {
  if (given !== undefined) return checkCluster(given);
  if (storeName === undefined) return DEFAULT_CLUSTER;
  if (isCluster(storeName)) return storeName;
  throw new RangeError(
    `cluster must be given, since the store's name is not ${RULE}: got ${describe(storeName)}`,
  );
}

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
  if (!isCluster(name)) throw new RangeError(`cluster must be ${RULE}: got ${describe(name)}`);
  return name;
}

function isCluster(name: string): boolean {
  return name.length <= MAX_CHARACTERS && /^[!-~]+$/.test(name);
}
