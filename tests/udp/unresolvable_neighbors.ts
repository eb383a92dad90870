/**
 * Fills a socket's buffer with answers to neighbours that do not resolve, which spoofed datagrams ask for, and prints
 * how many datagrams the socket has handed on.
 *
 * It needs a network of its own with the address 10.9.0.1/24 on a link without anybody at its other end.
 */
import { linux, openLibc } from "../../lib/libc/libc.ts";
import { bindReuseport } from "../../lib/udp/reuseport.ts";
import { until } from "../../testing/within.ts";
import { ForgedSender } from "./forged_sender.ts";

const NEIGHBORS = 20;
/** As many as fit in the receive buffer that every Linux grants. */
const DATAGRAMS = 400;

const libc = openLibc();
/** Has the kernel give the socket the least room to send: a few datagrams. */
const bind: typeof libc.bind = (fd, address, length) => {
  libc.setsockopt(fd, linux.SOL_SOCKET, linux.SO_SNDBUF, Int32Array.of(1), 4);
  return libc.bind(fd, address, length);
};

const socket = bindReuseport({ hostname: "0.0.0.0", port: 0 }, { ...libc, bind });
using sender = ForgedSender.tryOpen();
if (sender === undefined) throw new Error("this needs root");
for (let i = 0; i < DATAGRAMS; i++) {
  const from = { hostname: `10.9.0.${10 + i % NEIGHBORS}`, port: 5000 };
  sender.send(from, { hostname: "10.9.0.1", port: socket.port }, Uint8Array.of(0));
}
let handedOn = 0;
const served = socket.serve(() => {
  handedOn++;
  return 9;
});
await until("all are handed on", () => handedOn === DATAGRAMS);
socket.close();
await served;
console.log(handedOn);
