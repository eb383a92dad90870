import { assertExists } from "@std/assert";
import { CheckedStore, type FoundRecord } from "../../lib/reservation/checked_store.ts";
import { parseHolder } from "../../lib/reservation/holder_on_record.ts";
import { decodeReservation, encodeReservation, type Reservation } from "../../lib/reservation/reservation.ts";
import type { ReservationStore } from "../../mod.ts";

/** The record of a node, and its text; `undefined` if there is none. */
export async function foundOf(store: ReservationStore, nodeId: number): Promise<FoundRecord | undefined> {
  return await CheckedStore.of(store).read(nodeId);
}

/** A record as it would be found, of which only this much matters. */
export function foundRecord(record: Partial<Reservation>): FoundRecord {
  const whole = { mark: 0, beat: 0, holder: "", layout: "", info: {}, ...record };
  return { record: whole, text: encodeReservation(whole) };
}

/** The record of a node that has one. */
export async function recordOf(store: ReservationStore, nodeId: number): Promise<Reservation> {
  const text = await store.read(nodeId);
  assertExists(text, `node ${nodeId} has no record`);
  return decodeReservation(text);
}

/** The mark on record for a node; `undefined` if there is no record. */
export async function markOf(store: ReservationStore, nodeId: number): Promise<number | undefined> {
  return (await foundOf(store, nodeId))?.record.mark;
}

/** What bears on uniqueness, with the name of the holder alone, without the attempt, which is never the same. */
export async function namedRecordOf(
  store: ReservationStore,
  nodeId: number,
): Promise<Pick<Reservation, "mark" | "holder" | "layout">> {
  const { mark, holder, layout } = await recordOf(store, nodeId);
  return { mark, holder: parseHolder(holder).name, layout };
}

/** The name of the node's holder: `undefined` if there is no record, `""` if the node was given back. */
export async function holderNameOf(store: ReservationStore, nodeId: number): Promise<string | undefined> {
  const found = await foundOf(store, nodeId);
  return found && parseHolder(found.record.holder).name;
}

/** Writes a record that differs from the present one, or from an empty one, as given, whoever has the node. */
export async function overwrite(store: ReservationStore, nodeId: number, change: Partial<Reservation>): Promise<void> {
  for (let isMade = false; !isMade;) { // A holder may write in between.
    const found = await foundOf(store, nodeId);
    const { record } = found ?? foundRecord({});
    const next = encodeReservation({ ...record, beat: record.beat + 1, ...change });
    isMade = await store.compareAndSet(nodeId, found?.text, next);
  }
}
