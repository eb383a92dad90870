import type { ReservationStore } from "../store.ts";

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
  /** No other machine uses the store. */
  readonly isLocal: boolean = true;

  readonly #records = new Map<number, string>();

  /** Reads the record of a node; `undefined` if there never was one. */
  read(nodeId: number): Promise<string | undefined> {
    return Promise.resolve(this.#records.get(nodeId));
  }

  /** Replaces the record of a node, if it is as expected, and tells whether it did. */
  compareAndSet(nodeId: number, expected: string | undefined, next: string): Promise<boolean> {
    const isExpected = this.#records.get(nodeId) === expected;
    if (isExpected) this.#records.set(nodeId, next);
    return Promise.resolve(isExpected);
  }

  /** Reads all records. */
  list(): Promise<ReadonlyMap<number, string>> {
    return Promise.resolve(new Map(this.#records));
  }
}
