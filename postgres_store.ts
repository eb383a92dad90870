/**
 * A store of reservations in PostgreSQL: see {@linkcode PostgresReservationStore}. With it, the generators of any
 * number of machines never give out an id twice. It uses the driver that the program has already.
 *
 * It runs in Deno, Node and Bun.
 *
 * @module
 */
export { GlobalIdError } from "./lib/base/errors.ts";
export { StoreError } from "./lib/reservation/errors.ts";
export type { ReservationStore, StoreHistory } from "./lib/reservation/store.ts";
export {
  type PostgresNotice,
  type PostgresQuery,
  PostgresReservationStore,
  type PostgresResult,
  type PostgresStoreOptions,
} from "./lib/reservation/stores/postgres_store.ts";
