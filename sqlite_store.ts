/**
 * A store of reservations in a SQLite file: see {@linkcode SqliteReservationStore}. With it, the generators of one
 * machine never give out an id twice, whatever becomes of their processes and of the clock.
 *
 * It needs a runtime with `node:sqlite`, such as Deno or Node.
 *
 * @module
 */
export { GlobalIdError } from "./lib/base/errors.ts";
export { StoreError } from "./lib/reservation/errors.ts";
export type { ReservationStore, StoreHistory } from "./lib/reservation/store.ts";
export { SqliteReservationStore } from "./lib/reservation/stores/sqlite_store.ts";
