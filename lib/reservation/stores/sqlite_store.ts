import { DatabaseSync } from "node:sqlite";
import type { Reservation, ReservationStore } from "../store.ts";
import { type OpenReservations, openReservations } from "./_open_reservations.ts";

/** How long to wait for another process that is just writing, in ms. */
const BUSY_TIMEOUT_MS = 1000;

/**
 * Keeps reservations in a SQLite database, a row a node: for one machine, where any number of processes may share it.
 *
 * SQLite, through the runtime's own `node:sqlite`, since its behaviour on power loss is specified and tested: with a write-ahead
 * log and `synchronous = FULL`, a transaction that was acknowledged has been flushed to the disk
 * (https://www.sqlite.org/pragma.html#pragma_synchronous). The file must be on a local file system.
 *
 * @example Generators of one machine that are kept apart through restarts
 * ```ts
 * import { IdGenerator } from "@global-id/global-id";
 * import { SqliteReservationStore } from "@global-id/global-id/sqlite-store";
 *
 * using store = new SqliteReservationStore(":memory:"); // in earnest, the path of a file
 * await using ids = await IdGenerator.open({ store });
 * ```
 */
export class SqliteReservationStore implements ReservationStore, Disposable {
  readonly #reservations: OpenReservations;

  /**
   * Opens a database, and makes it if it is not there.
   *
   * @param path The file, in a directory that exists.
   * @throws {Error} If it cannot be opened or written, or is damaged; the message names the file.
   */
  constructor(path: string) {
    this.#reservations = openReservations(DatabaseSync, path, BUSY_TIMEOUT_MS);
  }

  /** What is on record for a node. */
  // deno-lint-ignore require-await -- what is thrown is to be a rejection
  async read(nodeId: number): Promise<Reservation | undefined> {
    return this.#reservations.read(nodeId);
  }

  /** Replaces what is on record for a node, if it is as expected, and waits until it is on the disk. */
  // deno-lint-ignore require-await -- what is thrown is to be a rejection
  async compareAndSet(nodeId: number, expected: Reservation | undefined, next: Reservation): Promise<boolean> {
    return this.#reservations.compareAndSet(nodeId, expected, next);
  }

  /** Closes the database. */
  [Symbol.dispose](): void {
    this.#reservations.close();
  }
}
