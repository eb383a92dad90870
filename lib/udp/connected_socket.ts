import { BATCH, DatagramBatch } from "./_datagram_batch.ts";
import { RawSocket } from "./_raw_socket.ts";

/**
 * A UDP socket that is connected to one server, for a process that does nothing else meanwhile: it waits in system calls.
 * Linux only; it goes through libc, and so takes no turn of the event loop for a datagram.
 *
 * Requests are written into the slots, and responses are received into the same ones: at most {@linkcode MAX_IN_FLIGHT}.
 */
export class ConnectedSocket {
  /** Where requests are written and responses are received. */
  readonly slots: readonly DataView[];

  readonly #socket: RawSocket;
  readonly #batch: DatagramBatch;

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
    this.#batch = new DatagramBatch(this.#socket.libc, this.#socket.fd, 0);
    this.slots = this.#batch.slots;
  }

  /** Sets the length in bytes of the request in a slot. */
  setLength(slot: number, length: number): void {
    this.#batch.setReplyLength(slot, length);
  }

  /** Sends the requests in the first slots. */
  send(count: number): void {
    this.#batch.send(0, count);
  }

  /** Waits for responses, and returns how many there are in the first slots: 0 if none came in time. */
  receive(): number {
    return this.#batch.receive();
  }

  /** The length in bytes of the response in a slot. */
  lengthOf(slot: number): number {
    return this.#batch.lengthOf(slot);
  }

  /** Closes it. */
  close(): void {
    this.#socket.close();
  }
}

/** How many requests a {@linkcode ConnectedSocket} has room for. */
export const MAX_IN_FLIGHT: number = BATCH;
