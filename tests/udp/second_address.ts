/**
 * Binds a socket to all addresses, asks it at a second address of the machine, and prints which address answers.
 *
 * Arguments: the address to bind, that of the client, and the address to ask. The answer's address is printed as four
 * words: see `SourceAddress`.
 */
import { RawSocket } from "../../lib/udp/raw_socket.ts";
import { ReceiveBatch } from "../../lib/udp/receive_batch.ts";
import { bindReuseport } from "../../lib/udp/reuseport.ts";
import { SendBatch } from "../../lib/udp/send_batch.ts";
import { encodeAddress } from "../../lib/udp/socket_address.ts";
import { SourceAddress } from "../../lib/udp/source_address.ts";

const TIMEOUT_MS = 500;

const [bound, from, asked] = Deno.args;
const server = bindReuseport({ hostname: bound, port: 0 });
const client = new RawSocket(from, 0, TIMEOUT_MS);
client.bind();
const requests = new SendBatch(client);
requests.sendTo(new DataView(encodeAddress(asked, server.port).buffer));
requests.add(1);
requests.flush();
const served = server.serve(() => 1);
server.close();
await served;

const answers = new ReceiveBatch(client);
const source = new SourceAddress();
if (answers.receive() > 0) {
  source.readSockaddr(answers.senders[0]);
  console.log([...source.words].map((word) => word.toString(16)).join(":"));
} else {
  console.log("no answer");
}
client.close();
