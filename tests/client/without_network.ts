/** A program to run without the permission for the network: it prints which errors users then get. */
import { IdClient } from "../../client.ts";
import { NodeSocket } from "../../lib/client/_node_socket.ts";

const silent = { onDatagram() {}, onSendError() {}, isWaiting: () => false };

function describeError(error: unknown): string {
  return error instanceof Deno.errors.NotCapable ? error.message : `not the error that is due: ${error}`;
}

for (const address of ["127.0.0.1", "::1"]) {
  try {
    new NodeSocket(address, silent);
    console.log("no error");
  } catch (error) {
    console.log(describeError(error));
  }
}
using client = new IdClient({ hostname: "localhost" });
await client.nextId().then(() => console.log("no error"), (error) => console.log(describeError(error)));
