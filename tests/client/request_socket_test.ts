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
  readonly #conn: Deno.DatagramConn;
  readonly #served: Promise<void>;

  constructor(hostname = "127.0.0.1") {
    this.#conn = Deno.listenDatagram({ transport: "udp", hostname, port: 0 });
    this.#served = this.#serve().catch(() => {}); // ends when it is closed
  }

  get port(): number {
    return (this.#conn.addr as Deno.NetAddr).port;
  }

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

  readonly ports = new Set<number>();

  onDatagram(datagram: DataView, length: number, port: number): boolean {
    assertEquals([length, datagram.getUint8(0)], [8, 1]);
    this.ports.add(port);
    this.numbers.push(datagram.getUint32(4));
    if (this.numbers.length === this.#wanted) this.#come.resolve();
    return true;
  }

  onSendError(error: Error): void {
    this.errors.push(error);
  }

  isWaiting(): boolean {
    return this.numbers.length < this.#wanted;
  }

  /** Waits for so many datagrams in all. */
  come(count: number): Promise<void> {
    this.#come = Promise.withResolvers();
    this.#wanted = count;
    return this.#come.promise;
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

/** The sockets, and an address and port to which each cannot send. */
const SOCKETS = [
  { name: "DenoSocket", Socket: DenoSocket, unreachable: ["127.0.0.1", 0] },
  { name: "LibcSocket", Socket: LibcSocket, unreachable: ["255.255.255.255", 9] },
  { name: "NodeSocket", Socket: NodeSocket, unreachable: ["255.255.255.255", 9] },
] as const;

for (const { name, Socket, unreachable: [unreachable, unreachablePort] } of SOCKETS) {
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
      assertEquals(events.ports, new Set([a.port, b.port]));
    });

    it("hands over what comes from the server's address, and nothing from others", async () => {
      const listen = (hostname: string, port: number) => Deno.listenDatagram({ transport: "udp", hostname, port });
      const server = listen("127.0.0.1", 0);
      const { port } = server.addr as Deno.NetAddr;
      const stranger = listen("127.0.0.2", port);
      const events = new Events();
      const socket = new Socket("127.0.0.1", events);
      const answered = events.exchange(socket, 2, [port]);
      for (const number of [0, 1]) {
        const [, client] = await within("a request", server.receive());
        await stranger.send(Uint8Array.of(1, 0, 0, 0, 0, 0, 0, 10 + number), client);
        await server.send(Uint8Array.of(1, 0, 0, 0, 0, 0, 0, number), client);
      }
      await answered;
      socket.close();
      assertEquals(events.numbers, [0, 1]);
      server.close();
      stranger.close();
    });

    for (
      const [client, bound] of [
        ["0:0:0::1", "::1"],
        ["::ffff:127.0.0.1", "127.0.0.1"],
        ["::FFFF:7f00:1", "::"],
        ["127.0.0.1", "::"],
        ["::1", "::"],
        ["0.0.0.0", "127.0.0.1"],
        ["::", "::1"],
      ]
    ) {
      it(`knows that an answer is from ${client}, where the server is bound to ${bound}`, async () => {
        await using echo = new Echo(bound);
        const events = new Events();
        const socket = new Socket(client, events);
        await events.exchange(socket, 3, [echo.port]);
        socket.close();
        assertEquals([events.numbers.length, events.errors], [3, []]);
      });
    }

    it("sends the part of a buffer that a view shows", async () => {
      await using echo = new Echo();
      const events = new Events();
      const socket = new Socket("127.0.0.1", {
        onDatagram: (...args) => events.onDatagram(...args),
        onSendError: (error) => events.onSendError(error),
        isWaiting: () => true,
      });
      const exchanged = events.exchange(
        {
          ...{ close() {} },
          send: (datagram, length, port) => {
            const bytes = new Uint8Array(24).fill(255);
            bytes.set(new Uint8Array(datagram.buffer, 0, 8), 12);
            socket.send(new DataView(bytes.buffer, 12), length, port);
          },
        },
        3,
        [echo.port],
      );
      await exchanged;
      socket.close();
      assertEquals(events.numbers.toSorted(), [0, 1, 2]);
    });

    it("hands over nothing after it is closed", async () => {
      await using echo = new Echo();
      const events = new Events();
      const socket: RequestSocket = new Socket("127.0.0.1", {
        onDatagram: (...args) => (socket.close(), events.onDatagram(...args)),
        onSendError() {},
        isWaiting: () => true,
      });
      const one = within("a datagram", events.come(1));
      for (let i = 0; i < 100; i++) socket.send(new DataView(new ArrayBuffer(8)), 8, echo.port);
      await one;
      for (let turns = 0; turns < 100; turns++) await new Promise((resolve) => setImmediate(resolve));
      assertEquals(events.numbers.length, 1);
    });

    it("reports why it cannot send a datagram", async () => {
      const events = new Events();
      const socket = new Socket(unreachable, events);
      socket.send(new DataView(new ArrayBuffer(8)), 8, unreachablePort);
      await until("there is an error", () => Promise.resolve(events.errors.length > 0));
      socket.close();
      assert(events.errors[0].message.length > 0);
    });

    it("sends at once while it waits for responses", async () => {
      const server = Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port: 0 });
      const receive = async () => (await within("a datagram", server.receive()))[0][0];
      const socket = new Socket("127.0.0.1", { onDatagram: () => false, onSendError() {}, isWaiting: () => true });
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
      const socket = new Socket("127.0.0.1", { onDatagram: () => false, onSendError() {}, isWaiting: () => true });
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
