import { DatabaseSync, type StatementSync } from "node:sqlite";
import type { Reservation, ReservationStore } from "../store.ts";

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
  readonly #database: DatabaseSync;
  readonly #read: StatementSync;
  readonly #insert: StatementSync;
  readonly #update: StatementSync;

  /**
   * Opens a database, and makes it if it is not there.
   *
   * @param path The file, in a directory that exists.
   * @throws {Error} If it cannot be opened or written, or is damaged; the message names the file.
   */
  constructor(path: string) {
    let database: DatabaseSync | undefined;
    try {
      database = this.#database = new DatabaseSync(path);
      database.exec(`
        PRAGMA busy_timeout = ${BUSY_TIMEOUT_MS};
        PRAGMA journal_mode = WAL;
        PRAGMA synchronous = FULL;
        CREATE TABLE IF NOT EXISTS reservation (
          node_id INTEGER PRIMARY KEY, mark INTEGER NOT NULL, holder TEXT NOT NULL, layout TEXT NOT NULL
        ) STRICT`);
      const { quick_check } = database.prepare("PRAGMA quick_check(1)").get() as { quick_check: string };
      if (quick_check !== "ok") throw new Error(quick_check);
      this.#read = database.prepare("SELECT mark, holder, layout FROM reservation WHERE node_id = ?");
      this.#insert = database.prepare("INSERT INTO reservation VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING");
      this.#update = database.prepare(`
        UPDATE reservation SET mark = ?, holder = ?, layout = ?
        WHERE node_id = ? AND mark = ? AND holder = ? AND layout = ?`);
    } catch (error) {
      database?.close();
      throw new Error(`the reservation store ${path} cannot be used: ${(error as Error).message}`, { cause: error });
    }
  }

  /** What is on record for a node. */
  // deno-lint-ignore require-await -- what is thrown is to be a rejection
  async read(nodeId: number): Promise<Reservation | undefined> {
    const row = this.#read.get(nodeId) as Reservation | undefined;
    return row && { mark: row.mark, holder: row.holder, layout: row.layout };
  }

  /** Replaces what is on record for a node, if it is as expected, and waits until it is on the disk. */
  // deno-lint-ignore require-await -- what is thrown is to be a rejection
  async compareAndSet(nodeId: number, expected: Reservation | undefined, next: Reservation): Promise<boolean> {
    const { changes } = expected === undefined
      ? this.#insert.run(nodeId, next.mark, next.holder, next.layout)
      : this.#update.run(
        ...[next.mark, next.holder, next.layout],
        ...[nodeId, expected.mark, expected.holder, expected.layout],
      );
    return changes === 1;
  }

  /** Closes the database. */
  [Symbol.dispose](): void {
    this.#database.close();
  }
}
