/// <reference lib="deno.worker" />
/**
 * A socket that serves in a thread of its own, since one that waits in a system call holds up the thread it is in.
 *
 * It is told `{ backend, options }` and says `{ address }` or `{ error }`; it is told "serve", and from then on it
 * serves; it is told "close", and says `{ answered }`: how many datagrams it was given.
 */
import { listenDatagram } from "../../lib/udp/listen_datagram.ts";
import { bindReuseport, type ReuseportOptions } from "../../lib/udp/reuseport.ts";
import { type Respond, SLOT_BYTES, type UdpSocket } from "../../lib/udp/udp_socket.ts";

export type Backend = "listenDatagram" | "bindReuseport";
export type ToEchoWorker = { backend: Backend; options: ReuseportOptions } | "serve" | "close";
export type FromEchoWorker =
  | { address: { hostname: string; port: number } }
  | { error: { name: string; message: string } }
  | { answered: number };

let socket: UdpSocket;
let served: Promise<void> = Promise.resolve();
let answered = 0;

/**
 * Answers with the datagram's bytes plus one; not at all to one that begins with 0; with its length to the extremes.
 */
const respond: Respond = (datagram, length) => {
  answered++;
  if (length === 0 || length === SLOT_BYTES) {
    datagram.setUint8(0, length);
    return 1;
  }
  if (datagram.getUint8(0) === 0) return 0;
  for (let i = 0; i < length; i++) datagram.setUint8(i, datagram.getUint8(i) + 1);
  return length;
};

function bind({ backend, options }: { backend: Backend; options: ReuseportOptions }): FromEchoWorker {
  try {
    socket = { listenDatagram, bindReuseport }[backend](options);
    return { address: { hostname: socket.hostname, port: socket.port } };
  } catch (error) {
    const { name, message } = error as Error;
    return { error: { name, message } };
  }
}

if (typeof self.postMessage === "function") {
  self.onmessage = async ({ data }: MessageEvent<ToEchoWorker>) => {
    if (data === "serve") {
      served = socket.serve(respond);
    } else if (data === "close") {
      socket.close();
      await served;
      self.postMessage({ answered } satisfies FromEchoWorker);
    } else {
      self.postMessage(bind(data));
    }
  };
}
