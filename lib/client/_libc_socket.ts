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
 * How often to look for responses before the event loop has a turn: that takes about 4 us, and a look with the server let go first,
 * 1 to 2 us.
 */
const LOOKS = 8;

/** After how many such turns to wait in a thread of its own: to come back from there takes longer than most responses do. */
const TURNS = 20;

/** How many rounds of responses there are at most before the event loop has a turn. */
const ROUNDS = 8;

/**
 * How many responses are handed over before those who waited for them may ask for more: half of what a message takes. So the server
 * answers one half of many requests while this end sees to the other: with 64 at once, that doubles what there is in a second.
 */
const PART = 32;

/** How many microtasks that takes: `await client.nextId()` in a loop takes one, and each async function around it up to three. */
const MICROTASKS = 8;

/** How long to wait there at a time, in ms: by then, there may be nothing any more to wait for. */
const WAIT_MS = 50;

/** A socket of libc's: many datagrams in one system call, and no promise for any of them. Linux only. */
export class LibcSocket implements RequestSocket {
  readonly #hostname: string;
  readonly #events: RequestSocketEvents;
  readonly #socket: RawSocket;
  readonly #outgoing: SendBatch;
  readonly #incoming: ReceiveBatch;
  readonly #response = new DataView(new ArrayBuffer(SLOT_BYTES));
  /** Whether there is something to send. */
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
    if (!this.#isReady) {
      this.#isReady = true;
      queueMicrotask(() => this.#flush()); // after those of all requests that are made together
    }
    if (!this.#isRunning) this.#run();
  }

  close(): void {
    this.#closed = true;
    // While a thread waits for the socket, its number must not become another's.
    if (!this.#isRunning) this.#socket.close();
  }

  /** Hears responses, as long as there are any to come. */
  async #run(): Promise<void> {
    this.#isRunning = true;
    await null; // until the first requests are sent
    for (let turns = 0; !this.#closed && this.#events.isWaiting();) {
      turns = await this.#hear() ? 0 : turns + 1;
      if (turns < TURNS) await new Promise((resolve) => setImmediate(resolve));
      else await this.#socket.waitForDatagram(WAIT_MS);
    }
    this.#isRunning = false;
    if (this.#closed) this.#socket.close();
  }

  /** Hears the responses that come now. Returns whether there were any. */
  async #hear(): Promise<boolean> {
    let rounds = 0;
    for (; rounds < ROUNDS && this.#events.isWaiting(); rounds++) {
      const messages = this.#look();
      if (messages === 0) break;
      for (let message = 0; message < messages; message++) await this.#handOver(message);
    }
    return rounds > 0;
  }

  /** Looks for messages. Returns how many there are. */
  #look(): number {
    let messages = this.#incoming.receiveNow();
    for (let looks = 1; messages === 0 && looks < LOOKS; looks++) {
      this.#socket.libc.sched_yield(); // the server may be waiting for this very CPU
      messages = this.#incoming.receiveNow();
    }
    return messages;
  }

  /** Hands over the responses of a message, part by part. */
  async #handOver(message: number): Promise<void> {
    for (let left = this.#incoming.open(message); left > 0; left--) {
      this.#events.onDatagram(this.#response, this.#incoming.read(this.#response));
      if (left % PART === 1) await microtasks();
    }
  }

  #flush(): void {
    this.#isReady = false;
    if (this.#closed) return;
    const code = this.#outgoing.flush();
    if (code !== 0) this.#events.onSendError(new Error(systemMessage(this.#socket.libc, code)));
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

async function microtasks(): Promise<void> {
  for (let i = 0; i < MICROTASKS; i++) await null;
}
