import { assert, assertEquals, assertMatch } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { setImmediate } from "node:timers";
import { DenoSocket } from "../../lib/client/_deno_socket.ts";
import { LibcSocket } from "../../lib/client/_libc_socket.ts";
import { NodeSocket } from "../../lib/client/_node_socket.ts";
import type { RequestSocket, RequestSocketEvents } from "../../lib/client/request_socket.ts";
import { until, within } from "../../testing/within.ts";
import { libcWithErrno, WRONG_ERRNOS } from "../wrong_errno.ts";

/** Sends every datagram back, with its first byte one higher. */
class Echo implements AsyncDisposable {
  readonly #conn = Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port: 0 });
  readonly port = (this.#conn.addr as Deno.NetAddr).port;
  readonly #served = this.#serve().catch(() => {}); // ends when it is closed

  async #serve() {
    for await (const [datagram, sender] of this.#conn) {
      datagram[0]++;
      await this.#conn.send(datagram, sender);
    }
  }

  async [Symbol.asyncDispose]() {
    this.#conn.close();
    await this.#served;
  }
}

/** Takes note of what comes, and waits for so many. */
class Events implements RequestSocketEvents {
  readonly numbers: number[] = [];
  readonly errors: Error[] = [];
  #wanted = 0;
  #come = Promise.withResolvers<void>();

  onDatagram(datagram: DataView, length: number): void {
    assertEquals([length, datagram.getUint8(0)], [8, 1]);
    this.numbers.push(datagram.getUint32(4));
    if (this.numbers.length === this.#wanted) this.#come.resolve();
  }

  onSendError(error: Error): void {
    this.errors.push(error);
  }

  isWaiting(): boolean {
    return this.numbers.length < this.#wanted;
  }

  /** Sends so many datagrams, numbered, and waits until as many have come back. */
  async exchange(socket: RequestSocket, count: number, ports: number[]): Promise<void> {
    this.#come = Promise.withResolvers();
    const first = this.#wanted;
    this.#wanted += count;
    const view = new DataView(new ArrayBuffer(8));
    for (let i = first; i < first + count; i++) {
      view.setUint32(4, i);
      socket.send(view, 8, ports[i % ports.length]);
    }
    await within(`${count} datagrams`, this.#come.promise);
  }
}

const SOCKETS = [
  { name: "DenoSocket", Socket: DenoSocket, unreachable: "name.invalid" },
  { name: "LibcSocket", Socket: LibcSocket, unreachable: "255.255.255.255" },
  { name: "NodeSocket", Socket: NodeSocket, unreachable: "255.255.255.255" },
];

for (const { name, Socket, unreachable } of SOCKETS) {
  describe(name, () => {
    it("sends and receives datagrams one at a time, and more than a system call takes", async () => {
      await using echo = new Echo();
      const events = new Events();
      const socket = new Socket("127.0.0.1", events);
      for (const count of [1, 1, 64, 1, 150, 2]) await events.exchange(socket, count, [echo.port]);
      socket.close();
      assertEquals(events.numbers.toSorted((a, b) => a - b), Array.from({ length: 219 }, (_, i) => i));
      assertEquals(events.errors, []);
    });

    it("sends to several ports", async () => {
      await using a = new Echo();
      await using b = new Echo();
      const events = new Events();
      const socket = new Socket("127.0.0.1", events);
      await events.exchange(socket, 20, [a.port, b.port]);
      socket.close();
      assertEquals(new Set(events.numbers).size, 20);
    });

    it("reports why it cannot send a datagram", async () => {
      const events = new Events();
      const socket = new Socket(unreachable, events);
      socket.send(new DataView(new ArrayBuffer(8)), 8, 9);
      await until("there is an error", () => Promise.resolve(events.errors.length > 0));
      socket.close();
      assert(events.errors[0].message.length > 0);
    });

    it("sends at once while it waits for responses", async () => {
      const server = Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port: 0 });
      const receive = async () => (await within("a datagram", server.receive()))[0][0];
      const socket = new Socket("127.0.0.1", { onDatagram() {}, onSendError() {}, isWaiting: () => true });
      const turn = () => new Promise((resolve) => setImmediate(resolve));
      const { port } = server.addr as Deno.NetAddr;
      const datagram = new DataView(new ArrayBuffer(8));
      socket.send(datagram, 8, port);
      assertEquals(await receive(), 0);
      // By now it does not look for responses any more, but waits in a thread.
      for (let turns = 0; turns < 1000; turns++) await turn();
      datagram.setUint8(0, 1);
      socket.send(datagram, 8, port);
      await turn();
      await server.send(Uint8Array.of(2), server.addr);
      assertEquals([await receive(), await receive()], [1, 2]);
      socket.close();
      server.close();
    });

    it("can be closed while it waits", async () => {
      const silent = Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port: 0 });
      const socket = new Socket("127.0.0.1", { onDatagram() {}, onSendError() {}, isWaiting: () => true });
      socket.send(new DataView(new ArrayBuffer(8)), 8, (silent.addr as Deno.NetAddr).port);
      await within("the datagram", silent.receive());
      socket.close();
      silent.close();
    });
  });
}

describe("LibcSocket", () => {
  it("reports an error of its background work, and goes on with the next request", async () => {
    await using echo = new Echo();
    const events = new Events();
    const { onDatagram } = events;
    events.onDatagram = () => {
      events.onDatagram = onDatagram;
      throw new Error("a test's own");
    };
    const socket = new LibcSocket("127.0.0.1", events);
    const exchanged = events.exchange(socket, 2, [echo.port]);
    await until("there is an error", () => events.errors.length > 0);
    const view = new DataView(new ArrayBuffer(8));
    for (let sent = events.numbers.length; sent < 2; sent++) socket.send(view, 8, echo.port);
    await exchanged;
    socket.close();
    assertEquals(events.errors.map(({ message }) => message), ["a test's own"]);
  });

  for (const code of WRONG_ERRNOS) {
    it(`sends, receives and waits, whatever errno says: ${code}`, async () => {
      await using echo = new Echo();
      const events = new Events();
      const socket = new LibcSocket("127.0.0.1", events, libcWithErrno(code));
      for (const count of [1, 64]) await events.exchange(socket, count, [echo.port]);
      assertEquals(events.errors, []);
      socket.send(new DataView(new ArrayBuffer(8)), 8, 0); // nobody has this port
      await until("there is an error", () => Promise.resolve(events.errors.length > 0));
      assertMatch(events.errors[0].message, /^the system refuses to send a request \(probably: /);
      socket.close();
    });
  }
});

describe("LibcSocket.isPossible", () => {
  it("is true of addresses only: Deno looks up names", () => {
    assertEquals(["127.0.0.1", "::1", "localhost", "fe80::1%eth0"].map(LibcSocket.isPossible), [
      true,
      true,
      false,
      false,
    ]);
  });
});
