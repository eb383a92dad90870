import { assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { listenDatagram } from "../../lib/udp/listen_datagram.ts";

const ADDRESS: Deno.NetAddr = { transport: "udp", hostname: "192.0.2.1", port: 5000 };
const GOOD_PORT = 6000;
const BAD_PORT = 6666;

/** How many datagrams each of two clients sends, by turns. */
const DATAGRAMS = 500;

/** A socket of Deno's that is handed datagrams at once, and whose sends do what the test says. */
class ScriptedConn {
  readonly addr = ADDRESS;
  /** To which ports it was to send, in order. */
  readonly sentTo: number[] = [];
  /** Resolves once all datagrams have been received. */
  readonly isEmpty = Promise.withResolvers<void>();
  #received = 0;

  private readonly sendToBad: () => Promise<number>;

  constructor(sendToBad: () => Promise<number>) {
    this.sendToBad = sendToBad;
  }

  receive(buffer: Uint8Array): Promise<[Uint8Array, Deno.NetAddr]> {
    if (this.#received === 2 * DATAGRAMS) {
      this.isEmpty.resolve();
      return new Promise(() => {});
    }
    const port = this.#received++ % 2 === 0 ? BAD_PORT : GOOD_PORT;
    return Promise.resolve([buffer.subarray(0, 1), { ...ADDRESS, port }]);
  }

  send(datagram: Uint8Array, { port }: Deno.NetAddr): Promise<number> {
    this.sentTo.push(port);
    return port === BAD_PORT ? this.sendToBad() : Promise.resolve(datagram.length);
  }

  close(): void {}

  /** How many answers were to go to the good client. */
  get good(): number {
    return this.sentTo.filter((port) => port === GOOD_PORT).length;
  }
}

/** Serves until all datagrams have been received, unless a timer of 0 ms comes before: nothing is to wait for one. */
async function serve(conn: ScriptedConn): Promise<"all received" | "waited"> {
  const { listenDatagram: original } = Deno;
  Deno.listenDatagram = (() => conn) as unknown as typeof Deno.listenDatagram;
  try {
    const socket = listenDatagram(ADDRESS);
    const timer = Promise.withResolvers<"waited">();
    setTimeout(() => timer.resolve("waited"), 0);
    socket.serve(() => 1);
    return await Promise.race([conn.isEmpty.promise.then(() => "all received" as const), timer.promise]);
  } finally {
    Deno.listenDatagram = original;
  }
}

describe("listenDatagram, with answers that cannot be sent", () => {
  it("serves others without a pause while sends fail", async () => {
    const conn = new ScriptedConn(() => Promise.reject(new Error("no route to host")));
    assertEquals(await serve(conn), "all received");
    assertEquals(conn.good, DATAGRAMS);
  });

  it("goes on to receive while sends wait for room", async () => {
    const conn = new ScriptedConn(() => new Promise(() => {}));
    assertEquals(await serve(conn), "all received");
  });

  it("lets no more answers wait than it has room for, and sends again once they are gone", async () => {
    const sends: PromiseWithResolvers<number>[] = [];
    const conn = new ScriptedConn(() => {
      sends.push(Promise.withResolvers<number>());
      return sends[sends.length - 1].promise;
    });
    assertEquals(await serve(conn), "all received");
    assertEquals(sends.length, 64);
    assertEquals(conn.good, 63, "those before the 64th that waits");
  });

  it("pauses after receives that fail again and again, and not after one", async () => {
    let receives = 0;
    const conn = new ScriptedConn(() => Promise.resolve(1));
    const { receive } = conn;
    conn.receive = (buffer) => receives++ % 2 === 0 ? Promise.reject(new Error("reset")) : receive.call(conn, buffer);
    assertEquals(await serve(conn), "all received");
    const failing = new ScriptedConn(() => Promise.resolve(1));
    failing.receive = () => Promise.reject(new Error("bad file descriptor"));
    assertEquals(await serve(failing), "waited");
  });
});
