import { messageOf } from "../base/message_of.ts";
import type { ReservationStore } from "../reservation/store.ts";
import { EtcdReservationStore } from "../reservation/stores/etcd_store.ts";
import { parseStoreUrl } from "../reservation/stores/store_url.ts";
import { SqliteThreadStore } from "../reservation/stores/sqlite_thread_store.ts";
import { STATE_DIRECTORY, STORE_DIRECTORY } from "./own_directory.ts";
import { ServeError } from "./serve_error.ts";
import type { ServeLog } from "./serve_log.ts";
import { guardDatabase } from "./state_dir.ts";

/** A store that is open until it is disposed of. */
export type OpenStore = ReservationStore & (Disposable | AsyncDisposable);

/**
 * Opens the store of reservations.
 *
 * @param url What `parseStoreUrl` reads; `undefined`: the database in the state directory.
 * @param stateDir The directory, from `openStateDir`.
 * @param log Receives a line if other users could open the database's files until now.
 * @throws {ServeError} If the store cannot be opened, or the database's directory or files are not this user's alone. A
 * store on another machine is only asked later.
 */
export async function openStore(url: string | undefined, stateDir: string, log: ServeLog): Promise<OpenStore> {
  const { kind, location } = parseStoreUrl(url ?? `sqlite:${stateDir}/reservations.sqlite`);
  try {
    if (kind === "etcd") return await EtcdReservationStore.fromUrl(location);
    if (kind === "postgres") {
      // Whoever uses another store need not load the driver.
      const { PostgresServersStore } = await import("../reservation/stores/postgres_servers_store.ts");
      return await PostgresServersStore.fromUrl(location);
    }
    await guardDatabase(location, url === undefined ? STATE_DIRECTORY : STORE_DIRECTORY, log);
    return await SqliteThreadStore.open(location);
  } catch (error) {
    throw error instanceof ServeError ? error : new ServeError(messageOf(error), { cause: error });
  }
}
