/**
 * A program that Node, Bun and Deno can run: it gets ids from a server, one by one, many at once, and in advance. It
 * prints `ok` and the number of ids, or fails.
 *
 * Arguments: the server's host and port.
 */
import { argv } from "node:process";
import { IdClient, NoResponseError } from "../../client.ts";

const [hostname, port] = argv.slice(2);
const server = { hostname, port: Number(port) };
const ids = new Set<bigint>();
let count = 0;

function take(...taken: bigint[]): void {
  count += taken.length;
  for (const id of taken) ids.add(id);
}

const client = new IdClient(server);
for (let i = 0; i < 100; i++) take(await client.nextId());
take(...await Promise.all(Array.from({ length: 500 }, () => client.nextId())));
take(...await client.nextIds(10_000));
client.close();

const prefetching = new IdClient({ ...server, prefetch: 100 });
for await (const id of prefetching) {
  take(id);
  if (count === 11_000) break;
}
prefetching.close();
if (ids.size !== count) throw new Error(`${count - ids.size} ids came twice`);

const lonely = new IdClient({ ...server, port: 9, retransmitMs: 20, timeoutMs: 200 });
const error = await lonely.nextId().then(() => undefined, (error) => error);
if (!(error instanceof NoResponseError)) throw new Error(`where no server is, there is an id or ${error}`);
lonely.close();
console.log(`ok ${count}`);
