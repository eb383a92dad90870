import { assertExists } from "@std/assert";
import type { Reservation, ReservationStore } from "../../mod.ts";

/** The record of a node that has one. */
export async function recordOf(store: ReservationStore, nodeId: number): Promise<Reservation> {
  const record = await store.read(nodeId);
  assertExists(record, `node ${nodeId} has no record`);
  return record;
}
