/**
 * A client of the benchmark, in a process of its own: asks through `IdClient`. Each line of its stdin says for how many
 * seconds; it prints how many ids a second it got. At the end of its stdin, it writes all ids to files, as ranges (see
 * `IdLedger`): those of node N to the file N.
 *
 * Arguments: the options of the client as JSON, calls under way at once, how far the ids of a node are apart, how many
 * nodes there are (from 0 on), and the directory for the files.
 */
import { IdClient } from "../../client.ts";
import { IdLedger } from "./id_ledger.ts";

/** How many ids are kept in one array. */
const CHUNK = 1 << 20;

const [options, callers, step, nodes, directory] = Deno.args;
const chunks = [new BigUint64Array(CHUNK)];
let used = 0;

using client = new IdClient(JSON.parse(options));
for await (const line of Deno.stdin.readable.pipeThrough(new TextDecoderStream())) console.log(await run(Number(line)));

for (let node = 0n; node < BigInt(nodes); node++) {
  const ledger = new IdLedger(BigInt(step));
  for (const [i, chunk] of chunks.entries()) {
    const ids = i === chunks.length - 1 ? chunk.subarray(0, used) : chunk;
    ledger.addIds(nodes === "1" ? ids : ids.filter((id) => id % ledger.step === node));
  }
  await Deno.writeFile(`${directory}/${node}`, new Uint8Array(ledger.ranges().buffer));
}

/** Gets ids, and returns how many a second. The timer has its turn whenever a response is waited for. */
async function run(seconds: number): Promise<number> {
  const [beginMs, before] = [performance.now(), count()];
  let isOver = false;
  setTimeout(() => isOver = true, seconds * 1000);
  await Promise.all(Array.from({ length: Number(callers) }, async () => {
    while (!isOver) keep(await client.nextId());
  }));
  return (count() - before) / (performance.now() - beginMs) * 1000;
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
