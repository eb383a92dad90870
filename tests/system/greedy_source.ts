import { writeRangeRequest } from "../../lib/wire/request.ts";
import { RANGE_BYTES } from "../../lib/wire/protocol.ts";
import { readRangeResponse } from "../../lib/wire/response.ts";

/** After how long without an answer to ask anew, in ms. */
const TIMEOUT_MS = 100;

/** Takes all ids that it can get. */
export class GreedySource implements Disposable {
  readonly #conn: Deno.DatagramConn;
  readonly #request = new DataView(new ArrayBuffer(RANGE_BYTES));
  /** Where this source sends a datagram to end a wait for an answer that does not come. */
  readonly #address: Deno.NetAddr;

  /** Makes a source with an address of this machine's. */
  constructor(hostname: string) {
    this.#conn = Deno.listenDatagram({ transport: "udp", hostname, port: 0 });
    this.#address = this.#conn.addr as Deno.NetAddr;
  }

  /**
   * Asks servers in turn, several times each, for ids.
   *
   * @param ms For how long, in ms.
   * @param servers Where to ask.
   * @param count How many ids a request asks for.
   */
  async takeFor(ms: number, servers: Deno.NetAddr[], count: number): Promise<bigint[]> {
    const ids: bigint[] = [];
    const endMs = Date.now() + ms;
    while (Date.now() < endMs) ids.push(...await this.take(servers, count));
    return ids;
  }

  /** Asks each server once. */
  async take(servers: Deno.NetAddr[], count: number): Promise<bigint[]> {
    const ids: bigint[] = [];
    for (const server of servers) {
      writeRangeRequest(this.#request, count, 0, 1);
      await this.#conn.send(new Uint8Array(this.#request.buffer), server);
    }
    const timer = setTimeout(() => this.#conn.send(new Uint8Array(1), this.#address), TIMEOUT_MS);
    for (let answers = 0; answers < servers.length; answers++) {
      const [answer] = await this.#conn.receive();
      if (answer.length !== RANGE_BYTES) break;
      const range = readRangeResponse(new DataView(answer.buffer), answer.length);
      if (range === undefined) throw new Error("the server answers with something else");
      for (let i = 0; i < range.granted; i++) ids.push(range.first + BigInt(i) * range.step);
    }
    clearTimeout(timer);
    return ids;
  }

  [Symbol.dispose](): void {
    this.#conn.close();
  }
}
