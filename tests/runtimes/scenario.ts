/**
 * A program that any JavaScript runtime can run: it opens a generator with a store, takes ids until the first
 * reservation is over and has been renewed, and closes the generator. It prints `ok` and the number of ids, or fails.
 */
import { DEFAULT_LAYOUT, formatId, IdGenerator, MemoryReservationStore, parseId } from "../../mod.ts";

/** Longer than a generator reserves ahead (3 s and a tick), in ms. */
const DURATION_MS = 6000;

const store = new MemoryReservationStore();
const ids = await IdGenerator.open({ store });
const { nodeId } = ids;
const record = async () => JSON.parse(await store.read(nodeId) ?? "{}");
const firstMark = (await record()).mark ?? Infinity;
const endMs = performance.now() + DURATION_MS;
let last = -1n;
let count = 0;
while (performance.now() < endMs) {
  await new Promise((resolve) => setTimeout(resolve, 1));
  const id = await ids.waitForId({ signal: AbortSignal.timeout(5000) });
  if (id <= last) throw new Error(`${id} is not above ${last}`);
  last = id;
  count++;
}
const parts = DEFAULT_LAYOUT.unpack(last);
if (parts.tick < firstMark) {
  throw new Error(`the last id is of tick ${parts.tick}, before the first mark, ${firstMark}`);
}
if (parts.nodeId !== nodeId) throw new Error(`the last id is of node ${parts.nodeId}, not ${nodeId}`);
if (parseId(formatId(last, "base32"), "base32") !== last) throw new Error("its text form is another id's");
await ids.close();
if (!(await record()).holder.startsWith("/")) throw new Error("the node was not given back");
console.log(`ok ${count}`);
