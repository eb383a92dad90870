import type { DatabaseSync } from "node:sqlite";

/** An open database of reservations. Each call blocks the thread until it is done. */
export interface OpenReservations {
  /** Reads the record of a node; `undefined` if there never was one. */
  read(nodeId: number): string | undefined;
  /** Replaces the record of a node, if it is as expected, and tells whether it did. The change is on the disk then. */
  compareAndSet(nodeId: number, expected: string | undefined, next: string): boolean;
  /** Reads all records. */
  list(): Map<number, string>;
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
  /**
   * The version of the file's format. Version 1 had a column for each field of a record; files from before versions
   * were written down are of the same format, and have 0.
   */
  const VERSION = 2;
  const database = new Database(path);
  const versionOf = () => (database.prepare("PRAGMA user_version").get() as { user_version: number }).user_version;
  try {
    database.exec(`PRAGMA busy_timeout = ${busyTimeoutMs}`);
    const version = versionOf();
    if (version > VERSION) {
      throw new Error(
        `its format is version ${version}, and this release of global-id knows version ${VERSION}: ` +
          "run the release that wrote it, or a later one, or use another file and another node id",
      );
    }
    database.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL");
    const { quick_check } = database.prepare("PRAGMA quick_check(1)").get() as { quick_check: string };
    if (quick_check !== "ok") throw new Error(quick_check);
    if (version < VERSION) {
      // As one transaction: of two processes that open the file, one migrates it, and none sees a half of it.
      database.exec("BEGIN IMMEDIATE");
      const columns = database.prepare("SELECT name FROM pragma_table_info('reservation')").all();
      const hasColumns = versionOf() < VERSION && columns.length > 0;
      if (hasColumns) database.exec("ALTER TABLE reservation RENAME TO reservation_1");
      database.exec(`
        CREATE TABLE IF NOT EXISTS reservation (node_id INTEGER PRIMARY KEY, record TEXT NOT NULL) STRICT`);
      if (hasColumns) {
        database.exec(`
          INSERT INTO reservation SELECT node_id, json_object(
            'mark', mark, 'beat', 0, 'holder', holder, 'layout', layout, 'info', json_object()) FROM reservation_1;
          DROP TABLE reservation_1`);
      }
      database.exec(`PRAGMA user_version = ${VERSION}; COMMIT`);
    }
    const select = database.prepare("SELECT record FROM reservation WHERE node_id = ?");
    const selectAll = database.prepare("SELECT node_id, record FROM reservation");
    const insert = database.prepare("INSERT INTO reservation VALUES (?, ?) ON CONFLICT DO NOTHING");
    const update = database.prepare("UPDATE reservation SET record = ? WHERE node_id = ? AND record = ?");
    return {
      read: (nodeId) => (select.get(nodeId) as { record: string } | undefined)?.record,
      compareAndSet(nodeId, expected, next) {
        const { changes } = expected === undefined ? insert.run(nodeId, next) : update.run(next, nodeId, expected);
        return changes === 1;
      },
      list() {
        const rows = selectAll.all() as { node_id: number; record: string }[];
        return new Map(rows.map(({ node_id, record }) => [node_id, record]));
      },
      close: () => database.close(),
    };
  } catch (error) {
    database.close();
    throw error;
  }
}
