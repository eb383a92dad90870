/**
 * A program that any JavaScript runtime can run: it opens a generator with a store, takes ids until the first reservation is over and has
 * been renewed, and closes it. It prints `ok` and the number of ids, or fails.
 */
import { DEFAULT_LAYOUT, formatId, IdGenerator, MemoryReservationStore, parseId, RetryableError } from "../../mod.ts";

/** Longer than a generator reserves ahead (3 s and a tick), in ms. */
const DURATION_MS = 6000;

const store = new MemoryReservationStore();
const ids = await IdGenerator.open({ store });
const firstMark = (await store.read(ids.nodeId))!.mark;
const endMs = performance.now() + DURATION_MS;
let last = -1n;
let count = 0;
while (performance.now() < endMs) {
  const id = await nextId();
  if (id <= last) throw new Error(`${id} is not above ${last}`);
  last = id;
  count++;
}
const { tick, nodeId } = DEFAULT_LAYOUT.unpack(last);
if (tick < firstMark) {
  throw new Error(`the last id is of tick ${tick}, within the first reservation, which ends with ${firstMark}`);
}
if (nodeId !== ids.nodeId) throw new Error(`the last id is of node ${nodeId}, not ${ids.nodeId}`);
if (parseId(formatId(last, "base32"), "base32") !== last) throw new Error("its text form is another id's");
await ids.close();
if ((await store.read(nodeId))!.holder !== "") throw new Error("the node was not given back");
console.log(`ok ${count}`);

async function nextId(): Promise<bigint> {
  await new Promise((resolve) => setTimeout(resolve, 1));
  while (true) {
    try {
      return ids.nextId();
    } catch (error) {
      if (!(error instanceof RetryableError)) throw error;
      await new Promise((resolve) => setTimeout(resolve, error.retryAfterMs));
    }
  }
}
