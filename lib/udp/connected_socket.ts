import { RawSocket } from "./_raw_socket.ts";
import { ReceiveBatch } from "./_receive_batch.ts";
import { SendBatch } from "./_send_batch.ts";
import { SLOT_BYTES } from "./udp_socket.ts";

/**
 * A UDP socket that is connected to one server, for a process that does nothing else meanwhile: it waits in system calls.
 * Linux only; it goes through libc, and so takes no turn of the event loop for a datagram.
 */
export class ConnectedSocket {
  readonly #socket: RawSocket;
  readonly #requests: SendBatch;
  readonly #received: ReceiveBatch;
  readonly #response = new DataView(new ArrayBuffer(SLOT_BYTES));

  /**
   * Connects to a server.
   *
   * @param hostname An IPv4 or IPv6 address.
   * @param port The server's port.
   * @param timeoutMs How long a receive waits at most, in ms, below 1000.
   * @throws {TypeError} If the hostname is not an IP address.
   * @throws {Deno.errors.NotCapable} If the permission `--allow-ffi` is missing.
   * @throws {Deno.errors.NotSupported} If this is not Linux with glibc.
   */
  constructor(hostname: string, port: number, timeoutMs: number) {
    this.#socket = new RawSocket(hostname, port, timeoutMs);
    this.#socket.connect();
    this.#requests = new SendBatch(this.#socket, true);
    this.#received = new ReceiveBatch(this.#socket);
  }

  /** Where a request is to be written before it is added. */
  get slot(): DataView {
    return this.#requests.slot;
  }

  /** Adds the request in the {@linkcode slot}. */
  add(length: number): void {
    this.#requests.add(length);
  }

  /** Sends the requests that were added. */
  send(): void {
    this.#requests.flush();
  }

  /**
   * Waits for responses.
   *
   * @param take Gets each of them, and its length; it is only valid until the function returns.
   * @returns How many there were: 0 if none came in time.
   */
  receive(take: (response: DataView, length: number) => void): number {
    let responses = 0;
    const messages = this.#received.receive();
    for (let message = 0; message < messages; message++) {
      for (let datagrams = this.#received.open(message); datagrams > 0; datagrams--) {
        take(this.#response, this.#received.read(this.#response));
        responses++;
      }
    }
    return responses;
  }

  /** Closes it. */
  close(): void {
    this.#socket.close();
  }
}
