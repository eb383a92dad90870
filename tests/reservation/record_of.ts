import { assertExists } from "@std/assert";
import { parseHolder } from "../../lib/reservation/holder_on_record.ts";
import type { Reservation, ReservationStore } from "../../mod.ts";

/** The record of a node that has one. */
export async function recordOf(store: ReservationStore, nodeId: number): Promise<Reservation> {
  const record = await store.read(nodeId);
  assertExists(record, `node ${nodeId} has no record`);
  return record;
}

/** The record with the name of the holder alone, without the attempt, which is never the same. */
export async function namedRecordOf(store: ReservationStore, nodeId: number): Promise<Reservation> {
  const record = await recordOf(store, nodeId);
  return { ...record, holder: parseHolder(record.holder).name };
}

/** The name of the node's holder: `undefined` if there is no record, `""` if the node was given back. */
export async function holderNameOf(store: ReservationStore, nodeId: number): Promise<string | undefined> {
  const record = await store.read(nodeId);
  return record && parseHolder(record.holder).name;
}
