/**
 * A store of reservations in etcd: see {@linkcode EtcdReservationStore}. With it, the generators of any number of
 * machines never give out an id twice.
 *
 * It runs in Deno, Node and Bun.
 *
 * @module
 */
export { GlobalIdError } from "./lib/base/errors.ts";
export { StoreError } from "./lib/reservation/errors.ts";
export type { ReservationStore, StoreHistory } from "./lib/reservation/store.ts";
export {
  type EtcdCredentials,
  EtcdReservationStore,
  type EtcdStoreOptions,
  type EtcdTls,
} from "./lib/reservation/stores/etcd_store.ts";
