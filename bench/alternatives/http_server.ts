/**
 * The least that an HTTP id service can be: an id a request, as text, from this project's generator. Run by
 * `deno serve`, in as many workers as there may be: each takes a node id of its own from the store.
 *
 * Argument: the file of the reservation store.
 */
import { SqliteReservationStore } from "../../lib/reservation/stores/sqlite_store.ts";
import { IdGenerator, WIDE_LAYOUT } from "../../mod.ts";

// The wide layout has 1,048,576 ids a second for each worker, more than HTTP can ask for.
const ids = await IdGenerator.open({ store: new SqliteReservationStore(Deno.args[0]), layout: WIDE_LAYOUT });
await ids.waitForId();
console.log("has ids"); // http.ts waits for as many of these as there are workers

export default {
  fetch: () => new Response(String(ids.nextId())),
  // Of several workers, only the first says so.
  onListen: (address) => console.log(`http://127.0.0.1:${(address as Deno.NetAddr).port}/`),
} satisfies Deno.ServeDefaultExport;
