import type { Reservation, ReservationStore } from "../store.ts";

/**
 * Keeps reservations in memory, for tests, and for generators that only have to be kept apart within one process. The
 * store is not durable: when the process ends, its records are gone.
 *
 * @example Two generators of one process
 * ```ts
 * import { IdGenerator, MemoryReservationStore } from "@global-id/global-id";
 * import { assertNotEquals } from "@std/assert";
 *
 * const store = new MemoryReservationStore();
 * await using first = await IdGenerator.open({ store });
 * await using second = await IdGenerator.open({ store });
 * assertNotEquals(first.nodeId, second.nodeId);
 * ```
 */
export class MemoryReservationStore implements ReservationStore {
  readonly #reservations = new Map<number, Reservation>();

  /** Reads the record of a node; `undefined` if there never was one. */
  read(nodeId: number): Promise<Reservation | undefined> {
    return Promise.resolve(this.#reservations.get(nodeId));
  }

  /** Replaces the record of a node, if it is as expected, and tells whether it did. */
  compareAndSet(nodeId: number, expected: Reservation | undefined, next: Reservation): Promise<boolean> {
    const isExpected = isSame(this.#reservations.get(nodeId), expected);
    if (isExpected) this.#reservations.set(nodeId, { ...next });
    return Promise.resolve(isExpected);
  }
}

function isSame(a: Reservation | undefined, b: Reservation | undefined): boolean {
  return a?.mark === b?.mark && a?.holder === b?.holder && a?.layout === b?.layout;
}
