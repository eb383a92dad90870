import { RANGE_BYTES, WireStatus } from "../../lib/wire/protocol.ts";

/** A range request as a scripted server sees it. */
export interface SeenRequest {
  /** How many requests came before it. */
  index: number;
  count: number;
  tagHigh: number;
  tagLow: number;
  /** The client. */
  sender: Deno.Addr;
}

/** Decides about a request: which datagrams to send back, now or later. */
export type Script = (request: SeenRequest) => Uint8Array[] | Promise<Uint8Array[]>;

/** A UDP server on loopback that answers by a script. */
export class ScriptedServer implements AsyncDisposable {
  readonly requests: SeenRequest[] = [];
  readonly #conn: Deno.DatagramConn;
  readonly #served: Promise<void>;

  /** Serves on an address of loopback, and on a port: 0 lets the system choose one. */
  constructor(script: Script, hostname = "127.0.0.1", port = 0) {
    this.#conn = Deno.listenDatagram({ transport: "udp", hostname, port });
    this.#served = this.#serve(script).catch(() => {}); // ends when it is closed
  }

  get port(): number {
    return (this.#conn.addr as Deno.NetAddr).port;
  }

  /** Sends a datagram, whether or not it was asked for. */
  async send(datagram: Uint8Array, client: Deno.Addr): Promise<void> {
    await this.#conn.send(datagram, client);
  }

  async #serve(script: Script) {
    for await (const [data, sender] of this.#conn) {
      const view = new DataView(data.buffer, data.byteOffset);
      const request = {
        index: this.requests.length,
        count: view.getUint32(4),
        tagHigh: view.getUint32(8),
        tagLow: view.getUint32(12),
        sender,
      };
      this.requests.push(request);
      Promise.resolve(script(request)).then(async (datagrams) => {
        for (const datagram of datagrams) await this.#conn.send(datagram, sender);
      }).catch(() => {});
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#conn.close();
    await this.#served;
  }
}

/**
 * Makes the response that grants ids from `first` on: as many as the request asks for, one after the other, unless the
 * options differ.
 */
export function grant(
  request: SeenRequest,
  first: bigint,
  { granted = request.count, step = 1n }: { granted?: number; step?: bigint } = {},
): Uint8Array {
  return makeResponse(request, { status: WireStatus.OK, granted, first, step });
}

/** Makes the response that refuses ids. */
export function refuse(request: SeenRequest, status: number, retryAfterMs: number): Uint8Array {
  return makeResponse(request, { status, granted: 0, first: BigInt(retryAfterMs), step: 0n });
}

function makeResponse(
  request: SeenRequest,
  fields: { status: number; granted: number; first: bigint; step: bigint },
): Uint8Array {
  const view = new DataView(new ArrayBuffer(RANGE_BYTES));
  view.setUint8(0, 2);
  view.setUint8(1, fields.status);
  view.setUint32(4, fields.granted);
  view.setUint32(8, request.tagHigh);
  view.setUint32(12, request.tagLow);
  view.setBigUint64(16, fields.first);
  view.setBigUint64(24, fields.step);
  return new Uint8Array(view.buffer);
}
