import type { DatabaseSync } from "node:sqlite";
import type { Reservation } from "../store.ts";

/** An open database of reservations. Each call blocks the thread until it is done. */
export interface OpenReservations {
  /** Reads the record of a node; `undefined` if there never was one. */
  read(nodeId: number): Reservation | undefined;
  /** Replaces the record of a node, if it is as expected, and tells whether it did. The change is on the disk then. */
  compareAndSet(nodeId: number, expected: Reservation | undefined, next: Reservation): boolean;
  /** Closes the database. */
  close(): void;
}

/**
 * Opens a database of reservations, and makes it if it is not there.
 *
 * This function refers to nothing outside of itself, since a thread gets it as source text.
 *
 * @param Database The class of the runtime's `node:sqlite`.
 * @param path The file, in a directory that exists.
 * @param busyTimeoutMs How long to wait for a lock that another connection has, in ms.
 * @throws {Error} If it cannot be opened or written, or is damaged; the message does not name the file.
 */
export function openReservations(Database: typeof DatabaseSync, path: string, busyTimeoutMs: number): OpenReservations {
  /** The version of the file's format. Files from before it was written down are of the same format, and have 0. */
  const VERSION = 1;
  const database = new Database(path);
  try {
    database.exec(`PRAGMA busy_timeout = ${busyTimeoutMs}`);
    const { user_version } = database.prepare("PRAGMA user_version").get() as { user_version: number };
    if (user_version > VERSION) {
      throw new Error(
        `its format is version ${user_version}, and this release of global-id knows version ${VERSION}: ` +
          "run the release that wrote it, or a later one, or use another file and another node id",
      );
    }
    database.exec(`
      PRAGMA journal_mode = WAL;
      PRAGMA synchronous = FULL;
      CREATE TABLE IF NOT EXISTS reservation (
        node_id INTEGER PRIMARY KEY, mark INTEGER NOT NULL, holder TEXT NOT NULL, layout TEXT NOT NULL
      ) STRICT`);
    if (user_version < VERSION) database.exec(`PRAGMA user_version = ${VERSION}`);
    const { quick_check } = database.prepare("PRAGMA quick_check(1)").get() as { quick_check: string };
    if (quick_check !== "ok") throw new Error(quick_check);
    const select = database.prepare("SELECT mark, holder, layout FROM reservation WHERE node_id = ?");
    const insert = database.prepare("INSERT INTO reservation VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING");
    const update = database.prepare(`
      UPDATE reservation SET mark = ?, holder = ?, layout = ?
      WHERE node_id = ? AND mark = ? AND holder = ? AND layout = ?`);
    return {
      read(nodeId) {
        const row = select.get(nodeId) as unknown as Reservation | undefined;
        return row && { mark: row.mark, holder: row.holder, layout: row.layout };
      },
      compareAndSet(nodeId, expected, next) {
        const { changes } = expected === undefined
          ? insert.run(nodeId, next.mark, next.holder, next.layout)
          : update.run(
            ...[next.mark, next.holder, next.layout],
            ...[nodeId, expected.mark, expected.holder, expected.layout],
          );
        return changes === 1;
      },
      close: () => database.close(),
    };
  } catch (error) {
    database.close();
    throw error;
  }
}
