/**
 * A program that Node, Bun and Deno can run: it gets ids from two servers, of the nodes 1 and 2. Once it has some of
 * node 1, it makes a file, which asks for the end of that server, and goes on until it has as many of node 2. A call
 * that the other server does not save would take a minute. It prints `ok` and the number of ids, or fails.
 *
 * Arguments: the directory for the file, and the servers, as `host:port`.
 */
import { writeFileSync } from "node:fs";
import { argv, pid } from "node:process";
import { IdClient } from "../../client.ts";
import { DEFAULT_LAYOUT } from "../../mod.ts";

/** How many ids of a node are enough. */
const IDS = 100;
/** How long to wait between two calls, in ms: the nodes are to have ids for all programs. */
const PACE_MS = 1;

const [directory, ...servers] = argv.slice(2);
const client = new IdClient({ servers, retransmitMs: 60_000, timeoutMs: 120_000 });
const ids = new Set<bigint>();
let count = 0;

async function takeFrom(nodeId: number): Promise<void> {
  for (let left = IDS; left > 0;) {
    const id = await client.nextId();
    ids.add(id);
    count++;
    if (DEFAULT_LAYOUT.unpack(id).nodeId === nodeId) left--;
    await new Promise((resolve) => setTimeout(resolve, PACE_MS));
  }
}

await takeFrom(1);
writeFileSync(`${directory}/${pid}`, "");
await takeFrom(2);
client.close();
if (ids.size !== count) throw new Error(`${count - ids.size} ids came twice`);
console.log(`ok ${count}`);
