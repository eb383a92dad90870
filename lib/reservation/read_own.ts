import type { CheckedStore, FoundRecord } from "./checked_store.ts";
import type { Reservation } from "./reservation.ts";

/**
 * Reads a node's record if its holder's attempt is noted here.
 *
 * Another process may share the log of attempts, and write: between the store's answer and the look into the log, the
 * log may have moved on to that process's next record. So a record counts as another holder's only if it is on record
 * for two looks in a row.
 *
 * @param store The store.
 * @param nodeId The node.
 * @param isOwn Whether the attempt of a record is noted.
 * @returns The record; `undefined` if it is another holder's, or there is none.
 * @throws {unknown} What the store throws.
 */
export async function readOwn(
  store: CheckedStore,
  nodeId: number,
  isOwn: (record: Reservation) => boolean,
): Promise<FoundRecord | undefined> {
  let before: string | undefined;
  while (true) {
    const found = await store.read(nodeId);
    if (found === undefined) return undefined;
    if (isOwn(found.record)) return found;
    if (found.text === before) return undefined;
    before = found.text;
  }
}
