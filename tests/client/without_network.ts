/**
 * A program to run without the permission for the network, or with that for any socket of this machine's and nothing
 * more: it prints which errors users then get.
 */
import { IdClient } from "../../client.ts";
import { NodeSocket } from "../../lib/client/_node_socket.ts";

const events = { onDatagram: () => false, onSendError: print, isWaiting: () => false };

function print(error: unknown): void {
  console.log(error instanceof Deno.errors.NotCapable ? error.message : `not the error that is due: ${error}`);
}

for (const address of ["127.0.0.1", "::1"]) {
  try {
    const socket = new NodeSocket(address, events);
    socket.send(new DataView(new ArrayBuffer(8)), 8, 9);
    socket.close();
  } catch (error) {
    print(error);
  }
}
for (const hostname of ["localhost", "127.0.0.1"]) {
  try {
    using client = new IdClient({ hostname });
    await client.nextId();
    console.log("no error");
  } catch (error) {
    print(error);
  }
}
