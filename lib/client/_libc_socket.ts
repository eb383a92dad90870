import { setImmediate } from "node:timers";
import { systemMessage } from "../libc/libc.ts";
import { RawSocket } from "../udp/_raw_socket.ts";
import { ReceiveBatch } from "../udp/_receive_batch.ts";
import { SendBatch } from "../udp/_send_batch.ts";
import { encodeAddress } from "../udp/_socket_address.ts";
import { hasZone, parseIpAddress } from "../udp/ip_address.ts";
import { SLOT_BYTES } from "../udp/udp_socket.ts";
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
  readonly #outgoing: SendBatch;
  readonly #incoming: ReceiveBatch;
  readonly #response = new DataView(new ArrayBuffer(SLOT_BYTES));
  /** Whether there may be something to send. */
  #isReady = false;
  /** The server's addresses by its ports. */
  readonly #addresses = new Map<number, DataView>();
  #isRunning = false;
  #closed = false;

  constructor(hostname: string, events: RequestSocketEvents) {
    this.#hostname = hostname;
    this.#events = events;
    this.#socket = new RawSocket(hostname, 0, WAIT_MS);
    this.#outgoing = new SendBatch(this.#socket);
    this.#incoming = new ReceiveBatch(this.#socket);
  }

  /** Whether there can be one for this host. */
  static isPossible(hostname: string): boolean {
    const address = parseIpAddress(hostname);
    return Deno.build.os === "linux" && address !== undefined && !hasZone(address) &&
      Deno.permissions.querySync({ name: "ffi" }).state === "granted";
  }

  send(datagram: DataView<ArrayBuffer>, length: number, port: number): void {
    const { slot } = this.#outgoing;
    for (let offset = 0; offset < length; offset += 4) slot.setUint32(offset, datagram.getUint32(offset));
    this.#outgoing.sendTo(this.#addressOf(port));
    this.#outgoing.add(length);
    this.#isReady = true;
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
    for (let looks = 0; !this.#closed && (this.#isReady || this.#events.isWaiting());) {
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
    if (!this.#isReady) return;
    this.#isReady = false;
    const code = this.#outgoing.flush();
    if (code !== 0) this.#events.onSendError(new Error(systemMessage(this.#socket.libc, code)));
  }

  #receive(): number {
    const messages = this.#incoming.receiveNow();
    for (let message = 0; message < messages; message++) {
      for (let datagrams = this.#incoming.open(message); datagrams > 0; datagrams--) {
        this.#events.onDatagram(this.#response, this.#incoming.read(this.#response));
      }
    }
    return messages;
  }

  #addressOf(port: number): DataView {
    let address = this.#addresses.get(port);
    if (address === undefined) {
      address = new DataView(encodeAddress(this.#hostname, port).buffer);
      this.#addresses.set(port, address);
    }
    return address;
  }
}
