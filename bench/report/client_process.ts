/**
 * A client of the benchmark, in a process of its own: asks through `IdClient`, and prints how many ids it got in the
 * measured seconds.
 *
 * Arguments: the server's port, ids a request (prefetch), calls under way at once, seconds to measure, how far the
 * server's ids are apart, and the file to write all of them to, as ranges (see `IdLedger`).
 */
import { IdClient } from "../../client.ts";
import { IdLedger } from "./id_ledger.ts";

const WARM_UP_SECONDS = 1;
/** How many ids are kept in one array. */
const CHUNK = 1 << 20;

const [port, prefetch, callers, seconds] = Deno.args.slice(0, 4).map(Number);
const [step, path] = [BigInt(Deno.args[4]), Deno.args[5]];
const chunks = [new BigUint64Array(CHUNK)];
let used = 0;

using client = new IdClient({ port, prefetch });
await run(WARM_UP_SECONDS);
const before = count();
const elapsed = await run(seconds);
console.log(JSON.stringify({ idsPerSecond: (count() - before) / elapsed }));

const ledger = new IdLedger(step);
for (const [i, chunk] of chunks.entries()) ledger.addIds(i === chunks.length - 1 ? chunk.subarray(0, used) : chunk);
await Deno.writeFile(path, new Uint8Array(ledger.ranges().buffer));

/** Gets ids, and returns for how many seconds. The timer has its turn whenever a response is waited for. */
async function run(seconds: number): Promise<number> {
  const beginMs = performance.now();
  let isOver = false;
  setTimeout(() => isOver = true, seconds * 1000);
  await Promise.all(Array.from({ length: callers }, async () => {
    while (!isOver) keep(await client.nextId());
  }));
  return (performance.now() - beginMs) / 1000;
}

function keep(id: bigint): void {
  if (used === CHUNK) {
    chunks.push(new BigUint64Array(CHUNK));
    used = 0;
  }
  chunks[chunks.length - 1][used++] = id;
}

function count(): number {
  return (chunks.length - 1) * CHUNK + used;
}
