/**
 * Has a socket of Deno's answer senders that no answer reaches, whose datagrams are spoofed, next to a client.
 * Prints as JSON how many of these senders sends fail to, how many datagrams the socket has handed on, how many answers
 * the client got, how many datagrams came from no client's port, and how often anything waited for a timer meanwhile.
 *
 * It needs a network of its own with the routes of `unreachable_senders_test.ts`.
 */
import { listenDatagram } from "../../lib/udp/listen_datagram.ts";
import { type Endpoint, ForgedSender } from "./forged_sender.ts";

const ROUNDS = 100;
const UNREACHABLE: Endpoint[] = ["192.0.2.1", "198.51.100.1", "203.0.113.1", "10.9.0.1"]
  .map((hostname) => ({ hostname, port: 5000 }));
const HOST = "127.0.0.1";
/** No datagram can be sent to this port. */
const PORT_0: Endpoint = { hostname: HOST, port: 0 };

const socket = listenDatagram({ hostname: HOST, port: 0 });
const client = Deno.listenDatagram({ transport: "udp", hostname: HOST, port: 0 });
using attacker = ForgedSender.tryOpen();
if (attacker === undefined) throw new Error("this needs root");
const sends = await Promise.allSettled(
  UNREACHABLE.map((sender) => client.send(Uint8Array.of(0), { ...sender, transport: "udp" })),
);
const failing = sends.filter(({ status }) => status === "rejected").length;

let pauses = 0;
const { setTimeout: start } = globalThis;
globalThis.setTimeout = ((...args: Parameters<typeof start>) => {
  pauses++;
  return start(...args);
}) as typeof start;

let handedOn = 0;
socket.serve(() => {
  handedOn++;
  return 1;
});
let answered = 0;
for (let round = 0; round < ROUNDS; round++) {
  for (const sender of [...UNREACHABLE, PORT_0]) attacker.send(sender, socket, Uint8Array.of(0));
  await client.send(Uint8Array.of(0), { transport: "udp", hostname: HOST, port: socket.port });
  await client.receive(); // is answered after all of them
  answered++;
}
console.log(JSON.stringify({ failing, handedOn, answered, notFromClient: socket.takeDrops().notFromClient, pauses }));
Deno.exit(0);
