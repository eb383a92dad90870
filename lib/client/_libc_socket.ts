import { setImmediate } from "node:timers";
import { systemMessage } from "../libc/libc.ts";
import { BATCH, DatagramBatch } from "../udp/_datagram_batch.ts";
import { RawSocket } from "../udp/_raw_socket.ts";
import { encodeAddress } from "../udp/_socket_address.ts";
import { hasZone, parseIpAddress } from "../udp/ip_address.ts";
import type { RequestSocket, RequestSocketEvents } from "./request_socket.ts";

/**
 * How often to look for responses, a turn of the event loop of about 4 us each time, before waiting in a thread of its own:
 * that takes longer than most responses do.
 */
const LOOKS = 100;

/** How long to wait there at a time, in ms: a request that was sent meanwhile may be the first one with a response. */
const WAIT_MS = 50;

/** A socket of libc's: many datagrams in one system call, and no promise for any of them. Linux only. */
export class LibcSocket implements RequestSocket {
  readonly #hostname: string;
  readonly #events: RequestSocketEvents;
  readonly #socket: RawSocket;
  readonly #outgoing: DatagramBatch;
  readonly #incoming: DatagramBatch;
  /** How many datagrams are ready to be sent. */
  #ready = 0;
  /** The server's addresses by its ports. */
  readonly #addresses = new Map<number, Uint8Array<ArrayBuffer>>();
  readonly #outgoingAddresses: Uint8Array<ArrayBuffer>[];
  #isRunning = false;
  #closed = false;

  constructor(hostname: string, events: RequestSocketEvents) {
    this.#hostname = hostname;
    this.#events = events;
    this.#socket = new RawSocket(hostname, 0, WAIT_MS);
    const { libc, fd, addressLength } = this.#socket;
    this.#outgoing = new DatagramBatch(libc, fd, addressLength);
    this.#incoming = new DatagramBatch(libc, fd, addressLength);
    this.#outgoingAddresses = this.#outgoing.senders.map((view) =>
      new Uint8Array(view.buffer as ArrayBuffer, view.byteOffset, view.byteLength)
    );
  }

  /** Whether there can be one for this host. */
  static isPossible(hostname: string): boolean {
    const address = parseIpAddress(hostname);
    return Deno.build.os === "linux" && address !== undefined && !hasZone(address) &&
      Deno.permissions.querySync({ name: "ffi" }).state === "granted";
  }

  send(datagram: DataView<ArrayBuffer>, length: number, port: number): void {
    if (this.#ready === BATCH) this.#flush();
    const slot = this.#ready++;
    const view = this.#outgoing.slots[slot];
    for (let offset = 0; offset < length; offset += 4) view.setUint32(offset, datagram.getUint32(offset));
    this.#outgoingAddresses[slot].set(this.#addressOf(port));
    this.#outgoing.setReplyLength(slot, length);
    if (!this.#isRunning) this.#run();
  }

  close(): void {
    this.#closed = true;
    // While a thread waits for the socket, its number must not become another's.
    if (!this.#isRunning) this.#socket.close();
  }

  /** Sends what is ready and hears responses, as long as there are any to come. */
  async #run(): Promise<void> {
    this.#isRunning = true;
    await null; // so that requests that are made together are sent together
    for (let looks = 0; !this.#closed && (this.#ready > 0 || this.#events.isWaiting());) {
      this.#flush();
      const received = this.#receive();
      looks = received > 0 ? 0 : looks + 1;
      if (looks < LOOKS) {
        // The server may be waiting for this very CPU.
        if (looks > 0) this.#socket.libc.sched_yield();
        await new Promise((resolve) => setImmediate(resolve));
      } else {
        await this.#socket.waitForDatagram(WAIT_MS);
      }
    }
    this.#isRunning = false;
    if (this.#closed) this.#socket.close();
  }

  #flush(): void {
    if (this.#ready === 0) return;
    const code = this.#outgoing.send(0, this.#ready);
    this.#ready = 0;
    if (code !== 0) this.#events.onSendError(new Error(systemMessage(this.#socket.libc, code)));
  }

  #receive(): number {
    const count = this.#incoming.receiveNow();
    for (let slot = 0; slot < count; slot++) {
      this.#events.onDatagram(this.#incoming.slots[slot], this.#incoming.lengthOf(slot));
    }
    return count;
  }

  #addressOf(port: number): Uint8Array<ArrayBuffer> {
    let address = this.#addresses.get(port);
    if (address === undefined) this.#addresses.set(port, address = encodeAddress(this.#hostname, port));
    return address;
  }
}
