import { setImmediate } from "node:timers";
import { type Libc, openLibc, systemError } from "../libc/libc.ts";
import { RawSocket } from "../udp/raw_socket.ts";
import { ReceiveBatch } from "../udp/receive_batch.ts";
import { SendBatch } from "../udp/send_batch.ts";
import { encodeAddress, PORT } from "../udp/socket_address.ts";
import { hasZone, parseIpAddress } from "../udp/ip_address.ts";
import { SLOT_BYTES } from "../udp/udp_socket.ts";
import { ServerAddress } from "./_server_address.ts";
import type { RequestSocket, RequestSocketEvents } from "./request_socket.ts";

/**
 * How many times the socket polls for responses before the event loop has a turn. A turn takes about 4 us; a poll takes
 * 1 to 2 us, with the server let run first.
 */
const MAX_POLLS = 8;

/**
 * After how many turns of the event loop without a response the socket waits in another thread. The way back from that
 * thread takes longer than most responses do.
 */
const MAX_IDLE_TURNS = 20;

/** How many batches of responses the socket receives at most before the event loop has a turn. */
const MAX_BATCHES = 8;

/**
 * How many responses the socket hands over before the calls that got them may make new requests: half of the datagrams
 * that a message takes. So the server answers one half of many requests while the client handles the other half: with
 * 64 requests at once, that doubles the rate.
 */
const PART = 32;

/**
 * How many microtasks the socket lets run after each {@linkcode PART}. `await client.nextId()` in a loop takes one, and
 * each async function around the loop up to three.
 */
const MICROTASKS = 8;

/** How long a wait in another thread lasts at most, in ms. The requests may be given up meanwhile. */
const WAIT_MS = 50;

/** A socket of libc's: it handles many datagrams in a system call, and makes no promise for a datagram. Linux only. */
export class LibcSocket implements RequestSocket {
  readonly #hostname: string;
  readonly #server: ServerAddress;
  readonly #events: RequestSocketEvents;
  readonly #socket: RawSocket;
  readonly #outgoing: SendBatch;
  readonly #incoming: ReceiveBatch;
  readonly #response = new DataView(new ArrayBuffer(SLOT_BYTES));
  /** Whether a flush is due in a microtask. */
  #isFlushDue = false;
  /** The addresses of the server's ports. */
  readonly #addresses = new Map<number, DataView>();
  #isRunning = false;
  #closed = false;

  constructor(hostname: string, events: RequestSocketEvents, libc: Libc = openLibc()) {
    this.#hostname = hostname;
    this.#server = new ServerAddress(hostname);
    this.#events = events;
    this.#socket = new RawSocket(hostname, 0, WAIT_MS, libc);
    this.#outgoing = new SendBatch(this.#socket);
    // With many requests in flight, one message of responses is followed by another: see PART.
    this.#incoming = new ReceiveBatch(this.#socket, { singleReceives: 0 });
  }

  /** Whether libc can reach this host: on Linux, with the permission for FFI, if the host is an address. */
  static isPossible(hostname: string): boolean {
    const address = parseIpAddress(hostname);
    return globalThis.Deno !== undefined && Deno.build.os === "linux" && address !== undefined && !hasZone(address) &&
      Deno.permissions.querySync({ name: "ffi" }).state === "granted";
  }

  send(datagram: DataView<ArrayBuffer>, length: number, port: number): void {
    const { slot } = this.#outgoing;
    for (let offset = 0; offset < length; offset += 4) slot.setUint32(offset, datagram.getUint32(offset));
    this.#outgoing.sendTo(this.#addressOf(port));
    this.#outgoing.add(length);
    if (!this.#isFlushDue) {
      this.#isFlushDue = true;
      queueMicrotask(() => this.#flush()); // once the calls that run now have added their requests
    }
    if (!this.#isRunning) this.#run().catch((error) => this.#events.onSendError(error));
  }

  close(): void {
    this.#closed = true;
    // While another thread may wait for the socket, the descriptor must not become another file's.
    if (!this.#isRunning) this.#socket.close();
  }

  /** Receives responses as long as any are due. */
  async #run(): Promise<void> {
    this.#isRunning = true;
    try {
      await null; // the flush of the first requests comes first
      for (let idleTurns = 0; !this.#closed && this.#events.isWaiting();) {
        idleTurns = await this.#receive() ? 0 : idleTurns + 1;
        if (idleTurns < MAX_IDLE_TURNS) await new Promise((resolve) => setImmediate(resolve));
        else await this.#socket.waitForDatagram(WAIT_MS);
      }
    } finally {
      this.#isRunning = false; // after an error, the next request starts it again
      if (this.#closed) this.#socket.close();
    }
  }

  /** Receives and hands over the responses that come while the event loop has no turn. Returns whether any came. */
  async #receive(): Promise<boolean> {
    let batches = 0;
    for (; batches < MAX_BATCHES && this.#events.isWaiting(); batches++) {
      const messages = this.#poll();
      if (messages === 0) break;
      for (let message = 0; message < messages; message++) {
        if (this.#server.isSockaddr(this.#incoming.senders[message])) await this.#handOver(message);
      }
    }
    return batches > 0;
  }

  /** Polls for messages, several times if need be. Returns how many came. */
  #poll(): number {
    let messages = this.#incoming.poll();
    for (let polls = 1; messages === 0 && polls < MAX_POLLS; polls++) {
      this.#socket.libc.sched_yield(); // the server may be waiting for this very CPU
      messages = this.#incoming.poll();
    }
    return messages;
  }

  /** Hands over the responses of a message, in parts: see {@linkcode PART}. */
  async #handOver(message: number): Promise<void> {
    const port = this.#incoming.senders[message].getUint16(PORT);
    for (let left = this.#incoming.open(message); left > 0 && !this.#closed; left--) {
      this.#events.onDatagram(this.#response, this.#incoming.read(this.#response), port);
      if (left % PART === 1) await runMicrotasks();
    }
  }

  #flush(): void {
    this.#isFlushDue = false;
    if (this.#closed) return;
    const lost = this.#outgoing.flush();
    if (lost > 0) this.#events.onSendError(systemError(this.#socket.libc, "the system refuses to send a request"));
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

async function runMicrotasks(): Promise<void> {
  for (let i = 0; i < MICROTASKS; i++) await null;
}
