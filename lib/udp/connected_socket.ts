import { RawSocket } from "./raw_socket.ts";
import { ReceiveBatch } from "./receive_batch.ts";
import { SendBatch } from "./send_batch.ts";
import { SLOT_BYTES } from "./udp_socket.ts";

/**
 * A UDP socket that is connected to one server, for a process that has nothing else to do: it blocks the event loop
 * while it waits. Linux only, through libc.
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
    this.#requests = new SendBatch(this.#socket, { isConnected: true });
    this.#received = new ReceiveBatch(this.#socket);
  }

  /** Where the caller writes a request before it adds it. */
  get slot(): DataView {
    return this.#requests.slot;
  }

  /** Adds the request in the {@linkcode slot}, of so many bytes. */
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
   * @param onResponse Gets each response and its length in bytes. The view is valid only until the function returns.
   * @returns How many responses came: 0 if none came before the timeout.
   * @throws {Error} If the socket has not been able to receive for some seconds.
   */
  receive(onResponse: (response: DataView, length: number) => void): number {
    let responses = 0;
    const messages = this.#received.receive();
    for (let message = 0; message < messages; message++) {
      for (let datagrams = this.#received.open(message); datagrams > 0; datagrams--) {
        onResponse(this.#response, this.#received.read(this.#response));
        responses++;
      }
    }
    return responses;
  }

  /** Closes the socket. */
  close(): void {
    this.#socket.close();
  }
}
