import { describe } from "../base/check.ts";
import { parseStoreUrl } from "../reservation/stores/store_url.ts";
import { resolveName } from "./_resolve_name.ts";
import { type Endpoint, readEndpoint } from "./endpoint.ts";
import { recordedServers } from "./recorded_servers.ts";

/**
 * Where a client's servers are: all of them; or `dns:NAME:PORT`, all addresses of a name; or `store:etcd://…`, those
 * that the etcd of `--store` has on record; or a function that finds them, such as `recordedServers(store)`.
 *
 * @example Servers that a function finds
 * ```ts
 * import { IdClient, type Servers } from "@global-id/global-id/client";
 *
 * const fromRegistry: Servers = async () => await (await fetch("https://registry.example/id-servers")).json();
 * using client = new IdClient({ servers: fromRegistry });
 * ```
 */
export type Servers = readonly (string | Endpoint)[] | string | (() => Promise<readonly (string | Endpoint)[]>);

/** Finds servers. */
export type FindServers = () => Promise<readonly Endpoint[]>;

/** The beginning of a name all of whose addresses are servers, and of the URL of a store that has them on record. */
const DNS = "dns:";
const STORE = "store:";

/**
 * Makes a function that finds servers.
 *
 * @param servers Where they are. Not a list: that needs no function.
 * @param resolve Resolves a name to addresses. Left out: the system's resolver does.
 * @throws {TypeError | RangeError | SyntaxError} If it is a text of another kind.
 */
export function findServers(servers: Exclude<Servers, readonly unknown[]>, resolve = resolveName): FindServers {
  if (typeof servers === "function") return async () => (await servers()).map(readEndpoint);
  if (typeof servers === "string" && servers.startsWith(STORE)) return findInStore(servers.slice(STORE.length));
  if (typeof servers !== "string" || !servers.startsWith(DNS)) {
    throw new TypeError(
      `servers must be a list, "dns:NAME:PORT", "store:etcd://…", or a function that returns a promise of a list: got ${
        describe(servers)
      }`,
    );
  }
  const { hostname, port } = readEndpoint(servers.slice(DNS.length));
  return async () => (await resolve(hostname)).map((address) => ({ hostname: address, port }));
}

/** The name of the store that has the servers on record; `undefined` if none has, or the store has no name. */
export function storeNameOf(servers: Servers | undefined): string | undefined {
  const isStore = typeof servers === "string" && servers.startsWith(STORE);
  return isStore ? parseStoreUrl(servers.slice(STORE.length)).name : undefined;
}

function findInStore(url: string): FindServers {
  if (parseStoreUrl(url).kind !== "etcd") {
    throw new TypeError('servers can be "store:etcd://…"; of another store, recordedServers(store)');
  }
  return async () => {
    // Whoever does not look into a store need not load it.
    const { EtcdReservationStore } = await import("../reservation/stores/etcd_store.ts");
    const store = await EtcdReservationStore.fromUrl(url);
    try {
      return (await recordedServers(store)()).map(readEndpoint);
    } finally {
      store.close(); // no `using`, which Node 22 cannot parse
    }
  };
}
