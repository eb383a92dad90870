import { DatabaseSync } from "node:sqlite";
import { StoreError } from "../errors.ts";
import type { Reservation, ReservationStore } from "../store.ts";
import { type OpenReservations, openReservations } from "./_open_reservations.ts";
import { storeFailure } from "./_store_failure.ts";

/** How long to wait for another process that is just writing, in ms. */
const BUSY_TIMEOUT_MS = 1000;

/**
 * Keeps reservations in a SQLite database, a row a node: for one machine, where any number of processes may share it.
 *
 * SQLite, through the runtime's own `node:sqlite`, since its behaviour on power loss is specified and tested: with a
 * write-ahead log and `synchronous = FULL`, a transaction that was acknowledged has been flushed to the disk
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
  readonly #path: string;
  readonly #reservations: OpenReservations;
  #isClosed = false;

  /**
   * Opens a database, and makes it if it is not there.
   *
   * @param path The file, in a directory that exists.
   * @throws {StoreError} If it cannot be opened or written, or is damaged; the message names the file.
   */
  constructor(path: string) {
    this.#path = path;
    try {
      this.#reservations = openReservations(DatabaseSync, path, BUSY_TIMEOUT_MS);
    } catch (error) {
      throw storeFailure(path, "cannot be used", error);
    }
  }

  /**
   * What is on record for a node.
   *
   * @throws {StoreError} If the database does not work, or is closed.
   */
  async read(nodeId: number): Promise<Reservation | undefined> {
    return await this.#perform(() => this.#reservations.read(nodeId));
  }

  /**
   * Replaces what is on record for a node, if it is as expected, and waits until it is on the disk.
   *
   * @returns Whether it did.
   * @throws {StoreError} If the database does not work, or is closed.
   */
  async compareAndSet(nodeId: number, expected: Reservation | undefined, next: Reservation): Promise<boolean> {
    return await this.#perform(() => this.#reservations.compareAndSet(nodeId, expected, next));
  }

  /** Closes the database. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#reservations.close();
  }

  /** Closes the database. */
  [Symbol.dispose](): void {
    this.close();
  }

  /** What SQLite does, as a promise: a failure is a rejection, like that of a store at the other end of a network. */
  #perform<Result>(act: () => Result): Promise<Result> {
    return new Promise((resolve, reject) => {
      try {
        if (this.#isClosed) throw new StoreError(`the reservation store ${this.#path} is closed`);
        resolve(act());
      } catch (error) {
        reject(error instanceof StoreError ? error : storeFailure(this.#path, "failed", error));
      }
    });
  }
}
