/**
 * Asks a server for ids one at a time, every 10 ms, until its stdin ends; writes a line for each id: the time at which
 * it came, in ms since the Unix epoch, and the id.
 *
 * Arguments: the server's address and port.
 */
import { IdClient } from "../../client.ts";
import { GlobalIdError } from "../../mod.ts";

const PERIOD_MS = 10;

/** Short, so that the server is asked again soon after it is back. */
const TIMES = { retransmitMs: 50, timeoutMs: 200 };

void Deno.stdin.readable.pipeTo(new WritableStream()).then(() => Deno.exit());
const [hostname, port] = Deno.args;
using client = new IdClient({ hostname, port: Number(port), ...TIMES });
while (true) {
  try {
    const id = await client.nextId();
    console.log(`${Date.now()} ${id}`);
  } catch (error) {
    if (!(error instanceof GlobalIdError)) throw error;
  }
  await new Promise((resolve) => setTimeout(resolve, PERIOD_MS));
}
