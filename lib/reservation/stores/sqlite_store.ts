import { DatabaseSync } from "node:sqlite";
import { StoreError } from "../errors.ts";
import type { ReservationStore } from "../store.ts";
import { type OpenReservations, openReservations } from "./_open_reservations.ts";
import { storeFailure } from "./_store_failure.ts";

/** How long a call waits for another process that is writing, in ms. */
const BUSY_TIMEOUT_MS = 1000;

/**
 * Keeps reservations in a SQLite database, a row for each node. Any number of processes of one machine may share the
 * file, which must be on a local file system. A call blocks the thread until it is done.
 *
 * SQLite specifies and tests its behaviour on power loss: with a write-ahead log and `synchronous = FULL`, it has
 * flushed a transaction to the disk before it acknowledges it (https://www.sqlite.org/pragma.html#pragma_synchronous).
 * The store uses the runtime's own `node:sqlite`.
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
  /** No other machine uses the store. */
  readonly isLocal = true;

  readonly #path: string;
  readonly #reservations: OpenReservations;
  #isClosed = false;

  /**
   * Opens a database, and makes it if it is not there.
   *
   * @param path The file, in a directory that exists.
   * @throws {StoreError} If the file cannot be opened or written, is damaged, or is of a later version; the message
   * names the file and the reason.
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
   * Reads the record of a node.
   *
   * @returns The record; `undefined` if there never was one.
   * @throws {StoreError} If the database does not work, or is closed.
   */
  async read(nodeId: number): Promise<string | undefined> {
    return await this.#perform(() => this.#reservations.read(nodeId));
  }

  /**
   * Replaces the record of a node, if it is as expected, and waits until the change is on the disk.
   *
   * @returns Whether the record was as expected, and is replaced.
   * @throws {StoreError} If the database does not work, or is closed.
   */
  async compareAndSet(nodeId: number, expected: string | undefined, next: string): Promise<boolean> {
    return await this.#perform(() => this.#reservations.compareAndSet(nodeId, expected, next));
  }

  /**
   * Reads all records.
   *
   * @returns The records by node id.
   * @throws {StoreError} If the database does not work, or is closed.
   */
  async list(): Promise<ReadonlyMap<number, string>> {
    return await this.#perform(() => this.#reservations.list());
  }

  /** Closes the database. A second call has no effect. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#reservations.close();
  }

  /** Closes the database. */
  [Symbol.dispose](): void {
    this.close();
  }

  /** Makes a promise of what SQLite does. A failure is a rejection, as with a store at the other end of a network. */
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
