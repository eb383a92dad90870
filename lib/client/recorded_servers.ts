import { CheckedStore, type FoundRecord } from "../reservation/checked_store.ts";
import { StoreError } from "../reservation/errors.ts";
import { isGivenBack } from "../reservation/holder_on_record.ts";
import type { ReservationStore } from "../reservation/store.ts";

/** How far the mark of a server that runs may be behind the highest one, in ms. Servers write it every few seconds. */
const RECENT_MS = 60_000;

/**
 * Makes a function that finds the servers that a store has on record: each holder of a node writes down where it
 * serves. Servers that have not renewed their reservations for a minute are left out.
 *
 * @param store The store of the servers' reservations, with a `list`. The client only reads it, every 30 s.
 * @returns The function, for the option `servers` of `IdClient`. It throws what the store throws.
 *
 * @example Servers that share a PostgreSQL database
 * ```ts no-assert
 * import { IdClient, recordedServers } from "@global-id/global-id/client";
 * import type { ReservationStore } from "@global-id/global-id";
 *
 * function openClient(store: ReservationStore): IdClient {
 *   return new IdClient({ servers: recordedServers(store) });
 * }
 * ```
 */
export function recordedServers(store: ReservationStore): () => Promise<string[]> {
  return async () => {
    const records = [...(await CheckedStore.of(store).list()).values()]
      .filter((found): found is FoundRecord => !(found instanceof StoreError))
      .map(({ record }) => ({ ...record, markMs: timeOf(record.mark, record.layout) }))
      .filter((record) => !isGivenBack(record) && !Number.isNaN(record.markMs));
    const latestMs = records.reduce((latest, { markMs }) => Math.max(latest, markMs), -Infinity);
    const addresses = records.filter(({ markMs }) => markMs >= latestMs - RECENT_MS).map(({ info }) => info.address);
    return [...new Set(addresses.filter((address) => address !== undefined))];
  };
}

/** The time of a mark, in ms since the Unix epoch, as the key of its layout says; `NaN` if that says nothing. */
function timeOf(mark: number, layout: string): number {
  const numberOf = (name: string) => Number(new RegExp(` ${name}=(-?[0-9]+)`).exec(layout)?.[1]);
  return numberOf("epoch_ms") + mark * numberOf("tick_ms");
}
