import { ServerAddress } from "./_server_address.ts";
import type { RequestSocket, RequestSocketEvents } from "./request_socket.ts";

/** A socket of Deno's own. It works on every platform. */
export class DenoSocket implements RequestSocket {
  readonly #hostname: string;
  readonly #server: ServerAddress;
  readonly #events: RequestSocketEvents;
  readonly #conn: Deno.DatagramConn;
  #closed = false;

  constructor(hostname: string, events: RequestSocketEvents) {
    this.#hostname = hostname;
    this.#server = new ServerAddress(hostname);
    this.#events = events;
    this.#conn = Deno.listenDatagram({
      transport: "udp",
      hostname: hostname.includes(":") ? "::" : "0.0.0.0",
      port: 0,
    });
    this.#receive();
  }

  send(datagram: DataView<ArrayBuffer>, length: number, port: number): void {
    const server: Deno.NetAddr = { transport: "udp", hostname: this.#hostname, port };
    const copy = new Uint8Array(datagram.buffer.slice(datagram.byteOffset, datagram.byteOffset + length));
    this.#conn.send(copy, server).catch((error) => this.#events.onSendError(error));
  }

  close(): void {
    this.#closed = true;
    this.#conn.close();
  }

  async #receive(): Promise<void> {
    const buffer = new Uint8Array(65_536); // Windows fails a receive whose buffer is too short for the datagram
    const view = new DataView(buffer.buffer);
    while (!this.#closed) {
      try {
        const [datagram, sender] = await this.#conn.receive(buffer);
        if (this.#closed || sender.transport !== "udp" || !this.#server.isText(sender.hostname)) continue;
        this.#events.onDatagram(view, datagram.length, sender.port);
      } catch {
        // The socket is closed; or, on Windows, an earlier datagram reached nobody, and the client will retransmit its
        // request.
        if (!this.#closed) await new Promise((resolve) => setTimeout(resolve, 1));
      }
    }
  }
}
