import type { CheckedStore, FoundRecord } from "./checked_store.ts";
import type { Reservation } from "./reservation.ts";

/** What {@linkcode readOwn} has read. */
export interface OwnRead {
  /** The record; `undefined` if there is none. */
  readonly found: FoundRecord | undefined;
  /** Whether its holder's attempt is noted here. */
  readonly isOwn: boolean;
}

/**
 * Reads a node's record, and tells whether its holder's attempt is noted here.
 *
 * Another process may share the log of attempts, and write: between the store's answer and the look into the log, the
 * log may have moved on to that process's next record. So a record counts as another holder's only if it is on record
 * for two looks in a row.
 *
 * @param store The store.
 * @param nodeId The node.
 * @param isOwn Whether the attempt of a record is noted.
 * @throws {unknown} What the store throws.
 */
export async function readOwn(
  store: CheckedStore,
  nodeId: number,
  isOwn: (record: Reservation) => boolean,
): Promise<OwnRead> {
  let before: string | undefined;
  while (true) {
    const found = await store.read(nodeId);
    if (found !== undefined && isOwn(found.record)) return { found, isOwn: true };
    if (found === undefined || found.text === before) return { found, isOwn: false };
    before = found.text;
  }
}
