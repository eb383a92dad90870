import type { RequestSocket, RequestSocketEvents } from "../../lib/client/request_socket.ts";
import type { HeldTime } from "../held_time.ts";
import type { SeenRequest } from "./scripted_server.ts";

/** A request as a network of a test's own carries it. */
export interface SentRequest extends SeenRequest {
  /** Where it went. */
  readonly hostname: string;
  readonly port: number;
  /** When it was sent. */
  readonly atMs: number;
  /** Its bytes. */
  readonly bytes: Uint8Array;
}

/** A network that delivers what a test says. */
export class FakeNetwork {
  /** All transmissions. */
  readonly sent: SentRequest[] = [];
  /** The hosts whose sockets are closed. */
  readonly closed: string[] = [];
  readonly #time: HeldTime;
  readonly #events = new Map<string, RequestSocketEvents>();

  constructor(time: HeldTime) {
    this.#time = time;
  }

  /** Opens a socket for a host. */
  readonly open = (hostname: string, events: RequestSocketEvents): RequestSocket => {
    this.#events.set(hostname, events);
    return {
      send: (datagram, length, port) => {
        const [count, tagHigh, tagLow] = [4, 8, 12].map((offset) => datagram.getUint32(offset));
        const sender: Deno.Addr = { transport: "udp", hostname: "192.0.2.9", port: 1 };
        const request = { index: this.sent.length, count, tagHigh, tagLow, sender };
        const bytes = new Uint8Array(datagram.buffer, datagram.byteOffset, length).slice();
        this.sent.push({ ...request, hostname, port, atMs: this.#time.ms, bytes });
      },
      close: () => this.closed.push(hostname),
    };
  };

  /** Delivers a datagram from where a request went, or from another port there. Returns whether the client takes it. */
  answer({ hostname, port }: SentRequest, datagram: Uint8Array, from = port): boolean {
    const view = new DataView(datagram.buffer, datagram.byteOffset, datagram.length);
    return this.#events.get(hostname)?.onDatagram(view, datagram.length, from) ?? false;
  }

  /** Fails to send to a host. */
  fail(hostname: string, error: Error): void {
    this.#events.get(hostname)?.onSendError(error);
  }

  /** Whether a host's socket is to receive. */
  isWaiting(hostname: string): boolean {
    return this.#events.get(hostname)?.isWaiting() ?? false;
  }

  /** The transmissions that are no probes: those for more than one id. */
  requests(): SentRequest[] {
    return this.sent.filter(({ count }) => count > 1);
  }

  /** Takes all transmissions out, and returns those that are no probes, as `hostname at ms`. */
  take(): string[] {
    const requests = this.requests().map(({ hostname, atMs }) => `${hostname} at ${atMs}`);
    this.sent.splice(0);
    return requests;
  }
}
