/**
 * A program that Node, Bun and Deno can run: it keeps records in etcd. It prints `ok` and the number of records, or
 * fails.
 *
 * Arguments: the members' endpoints, of which the first one does not answer.
 */
import { argv } from "node:process";
import { EtcdReservationStore, StoreError } from "../../etcd_store.ts";

const store = new EtcdReservationStore({ endpoints: argv.slice(2), prefix: crypto.randomUUID() });
const COUNT = 20;

function check(isTrue: boolean, what: string): void {
  if (!isTrue) throw new Error(what);
}

for (let nodeId = 0; nodeId < COUNT; nodeId++) {
  check(await store.read(nodeId) === undefined, "a new prefix has records");
  check(await store.compareAndSet(nodeId, undefined, "é 😀"), "a new record is not written");
  check(await store.compareAndSet(nodeId, "é 😀", "b"), "a record is not replaced");
  check(!await store.compareAndSet(nodeId, "é 😀", "c"), "a record is replaced that is not as expected");
}
const records = await store.list();
check([...records.values()].every((text) => text === "b"), "the list is not what was written");
check(Math.abs(await store.now() - Date.now()) < 60_000, "etcd's time is another one");
store.close();

const lonely = new EtcdReservationStore({ endpoints: ["http://127.0.0.1:2"] });
const error = await lonely.read(1).then(() => undefined, (error) => error);
check(error instanceof StoreError, `where no etcd is, there is a record or ${error}`);
console.log(`ok ${records.size}`);
