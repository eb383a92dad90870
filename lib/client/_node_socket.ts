import { Buffer } from "node:buffer";
import { createSocket, type RemoteInfo, type Socket } from "node:dgram";
import { checkNetPermission } from "./_check_net_permission.ts";
import { ServerAddress } from "./_server_address.ts";
import type { RequestSocket, RequestSocketEvents } from "./request_socket.ts";

/** A socket of `node:dgram`: in Node and Bun, and in Deno without `--unstable-net`. */
export class NodeSocket implements RequestSocket {
  readonly #address: string;
  readonly #events: RequestSocketEvents;
  readonly #socket: Socket;
  /** The ports that this program may send to. */
  readonly #ports = new Set<number>();
  #closed = false;

  /**
   * Opens a socket for requests to an address.
   *
   * @throws {Deno.errors.NotCapable} If Deno's permission `--allow-net` is missing.
   */
  constructor(address: string, events: RequestSocketEvents) {
    this.#address = address;
    this.#events = events;
    const isIPv6 = address.includes(":");
    checkNetPermission(isIPv6 ? "[::]:0" : "0.0.0.0:0");
    this.#socket = createSocket(isIPv6 ? "udp6" : "udp4");
    const server = new ServerAddress(address);
    this.#socket.on("message", (datagram: Uint8Array, sender: RemoteInfo) => {
      if (this.#closed || !server.isText(sender.address)) return;
      const view = new DataView(datagram.buffer, datagram.byteOffset, datagram.byteLength);
      this.#events.onDatagram(view, datagram.length, sender.port);
    });
    this.#socket.on("error", (error: Error) => this.#events.onSendError(error));
    this.#socket.unref(); // the client's timer keeps the program alive as long as a request waits
  }

  /** See {@linkcode RequestSocket.send}. */
  send(datagram: DataView<ArrayBuffer>, length: number, port: number): void {
    if (!this.#maySendTo(port)) return;
    const copy = Buffer.from(datagram.buffer.slice(datagram.byteOffset, datagram.byteOffset + length));
    this.#socket.send(copy, port, this.#address, (error) => {
      if (error) this.#events.onSendError(error);
    });
  }

  /** See {@linkcode RequestSocket.close}. */
  close(): void {
    this.#closed = true;
    this.#socket.close();
  }

  /** Whether the program may send to a port of the address; reports an error if not. */
  #maySendTo(port: number): boolean {
    if (this.#ports.has(port)) return true;
    try {
      checkNetPermission(this.#address.includes(":") ? `[${this.#address}]:${port}` : `${this.#address}:${port}`);
    } catch (error) {
      this.#events.onSendError(error as Error);
      return false;
    }
    this.#ports.add(port);
    return true;
  }
}
