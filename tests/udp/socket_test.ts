import { assert, assertEquals, assertGreater, assertGreaterOrEqual, assertRejects, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { ConnectedSocket } from "../../lib/udp/connected_socket.ts";
import { listenDatagram } from "../../lib/udp/listen_datagram.ts";
import { bindReuseport, type ReuseportOptions } from "../../lib/udp/reuseport.ts";
import { SLOT_BYTES } from "../../lib/udp/udp_socket.ts";
import { sleep } from "../../lib/base/sleep.ts";
import { until } from "../../testing/within.ts";
import { libcWithErrno, WRONG_ERRNOS } from "../wrong_errno.ts";
import { canForgeSenders, ForgedSender } from "./forged_sender.ts";
import type { Backend, FromEchoWorker, ToEchoWorker } from "./echo_worker.ts";

/** A socket that serves in a thread of its own, on a port given by the kernel. */
class EchoServer implements AsyncDisposable {
  readonly #worker = new Worker(new URL("./echo_worker.ts", import.meta.url), { type: "module" });
  hostname = "";
  port = 0;

  static async bind(backend: Backend, options: Partial<ReuseportOptions> = {}): Promise<EchoServer> {
    const server = new EchoServer();
    const answer = await server.#ask({ backend, options: { hostname: "127.0.0.1", port: 0, ...options } });
    if ("address" in answer) return Object.assign(server, answer.address);
    server.#worker.terminate();
    assert("error" in answer);
    throw Object.assign(new Error(answer.error.message), { name: answer.error.name });
  }

  /** A bound socket queues what is sent to it; it is answered from now on. */
  serve(): this {
    this.#worker.postMessage("serve" satisfies ToEchoWorker);
    return this;
  }

  /** Ends serving, and tells how many datagrams there were. */
  async close(): Promise<number> {
    const answer = await this.#ask("close");
    assert("answered" in answer);
    this.#worker.terminate();
    this.#ask = () => Promise.resolve(answer);
    return answer.answered;
  }

  async [Symbol.asyncDispose]() {
    await this.close();
  }

  #ask = (message: ToEchoWorker): Promise<FromEchoWorker> => {
    return new Promise((resolve) => {
      this.#worker.onmessage = ({ data }) => resolve(data);
      this.#worker.postMessage(message);
    });
  };
}

/** A client's socket that sends to one server. */
class Peer implements Disposable {
  readonly #conn: Deno.DatagramConn;

  private readonly server: { hostname: string; port: number };

  constructor(server: { hostname: string; port: number }) {
    this.server = server;
    this.#conn = Deno.listenDatagram({ transport: "udp", hostname: server.hostname, port: 0 });
  }

  async send(...bytes: number[]): Promise<void> {
    const { hostname, port } = this.server;
    await this.#conn.send(Uint8Array.from(bytes), { transport: "udp", hostname, port });
  }

  /** The next datagram, which must come from the server's address. */
  async receive(): Promise<number[]> {
    const [data, sender] = await this.#conn.receive();
    assertEquals(sender, { transport: "udp", hostname: this.server.hostname, port: this.server.port });
    return [...data];
  }

  [Symbol.dispose]() {
    this.#conn.close();
  }
}

const BACKENDS: Record<Backend, typeof listenDatagram> = { listenDatagram, bindReuseport };
if (Deno.build.os !== "linux") delete (BACKENDS as Partial<typeof BACKENDS>).bindReuseport;

for (const [backend, bind] of Object.entries(BACKENDS) as [Backend, typeof listenDatagram][]) {
  describe(backend, () => {
    it("answers each sender with its own answer", async () => {
      await using server = (await EchoServer.bind(backend)).serve();
      assertGreater(server.port, 0);
      using first = new Peer(server);
      using second = new Peer(server);
      for (let round = 0; round < 50; round++) {
        await first.send(10, round);
        await second.send(20, round);
        await second.send(30, round);
        assertEquals(await first.receive(), [11, round + 1]);
        assertEquals(await second.receive(), [21, round + 1]);
        assertEquals(await second.receive(), [31, round + 1]);
      }
    });

    for (const silent of [[0], [9], [4, 5], [0, 9], [0, 1, 2, 3, 4, 5, 6, 7, 8], []]) {
      it(`sends no answer where the function returns 0: [${silent}]`, async () => {
        await using server = await EchoServer.bind(backend);
        using peer = new Peer(server);
        for (let i = 0; i < 10; i++) await peer.send(silent.includes(i) ? 0 : 100, i);
        server.serve(); // finds all ten in the queue
        for (let i = 0; i < 10; i++) {
          if (!silent.includes(i)) assertEquals(await peer.receive(), [101, i + 1]);
        }
      });
    }

    it("answers empty datagrams, and cuts off datagrams longer than a slot", async () => {
      await using server = (await EchoServer.bind(backend)).serve();
      using peer = new Peer(server);
      await peer.send();
      assertEquals(await peer.receive(), [0]);
      for (const length of [SLOT_BYTES - 1, SLOT_BYTES, SLOT_BYTES + 1, 1472, 60_000]) {
        await peer.send(...new Array(length).fill(7));
        const answer = length < SLOT_BYTES ? new Array(length).fill(8) : [SLOT_BYTES];
        assertEquals(await peer.receive(), answer);
      }
      await peer.send(1, 2, 3);
      assertEquals(await peer.receive(), [2, 3, 4]);
    });

    it("answers more datagrams at once than a batch holds", async () => {
      await using server = await EchoServer.bind(backend);
      using peer = new Peer(server);
      for (let i = 0; i < 200; i++) await peer.send(1, i);
      server.serve();
      for (let i = 0; i < 200; i++) assertEquals(await peer.receive(), [2, i + 1]);
    });

    const portTest = `socket_test, ${backend}, ports of services`;
    (canForgeSenders(portTest) ? it : it.skip)("hands on no datagram from a port that no client has", async () => {
      await using server = (await EchoServer.bind(backend)).serve();
      using attacker = ForgedSender.tryOpen();
      using peer = new Peer(server);
      assert(attacker !== undefined);
      for (const port of [0, 1, 7, 19, 1023]) {
        attacker.send({ hostname: server.hostname, port }, server, Uint8Array.of(1, 2));
      }
      await peer.send(1, 2);
      assertEquals(await peer.receive(), [2, 3]);
      assertEquals(await server.close(), 1, "datagrams that were handed on");
    });

    (canForgeSenders(portTest) ? it : it.skip)("counts the datagrams from such ports", async () => {
      const socket = bind({ hostname: "127.0.0.1", port: 0 });
      let received = 0;
      const served = socket.serve(() => (received++, 0));
      using attacker = ForgedSender.tryOpen();
      using peer = new Peer(socket);
      assert(attacker !== undefined);
      for (const port of [0, 1023, 1023]) {
        attacker.send({ hostname: socket.hostname, port }, socket, Uint8Array.of(1, 2));
      }
      await peer.send(1, 2);
      await until("the peer's has come", () => received === 1);
      assertEquals(socket.takeDrops(), { notFromClient: 3, shed: 0, overflowed: 0 });
      assertEquals(socket.takeDrops(), { notFromClient: 0, shed: 0, overflowed: 0 });
      socket.close();
      await served;
    });

    it("lets the event loop turn under load, so that it can be stopped", async () => {
      const server = (await EchoServer.bind(backend)).serve();
      const peer = new Peer(server);
      let received = 0;
      const underLoad = Promise.withResolvers<void>();
      const load = (async () => {
        for (let i = 0; i < 8; i++) await peer.send(1); // eight in flight, until the peer is closed
        for (;;) {
          await peer.receive();
          if (++received === 100) underLoad.resolve();
          await peer.send(1);
        }
      })().catch(() => {});
      await underLoad.promise;
      assertGreaterOrEqual(await server.close(), 100);
      peer[Symbol.dispose]();
      await load;
    });

    it("serves IPv6", async () => {
      await using server = (await EchoServer.bind(backend, { hostname: "::1" })).serve();
      using peer = new Peer(server);
      await peer.send(1, 2);
      assertEquals(await peer.receive(), [2, 3]);
    });

    it("refuses a port that is taken", async () => {
      await using server = await EchoServer.bind("listenDatagram");
      const { hostname, port } = server;
      assertThrows(() => bind({ hostname, port }), Deno.errors.AddrInUse);
    });

    it("refuses an address that is not this machine's", () => {
      // 192.0.2.0/24 is for documentation (RFC 5737): no machine has it.
      assertThrows(() => bind({ hostname: "192.0.2.1", port: 0 }), Deno.errors.AddrNotAvailable);
    });

    it("frees its port when closed", async () => {
      const server = (await EchoServer.bind(backend)).serve();
      await server.close();
      const again = bind({ hostname: "127.0.0.1", port: server.port });
      assertEquals(again.port, server.port);
      again.close();
    });
  });
}

/** Where a socket is bound, and an address at which it is asked. */
const ASKED = [
  ["127.0.0.1", "127.0.0.1"],
  ["0.0.0.0", "127.0.0.1"],
  ["0.0.0.0", "127.0.0.2"],
  ["::1", "::1"],
  ["::", "::1"],
  ["::", "127.0.0.1"],
  ["::", "127.0.0.2"],
  ["::ffff:0.0.0.0", "127.0.0.2"],
];

if (Deno.build.os === "linux") {
  describe("bindReuseport, among others", () => {
    it("shares a port, and both sockets get datagrams", async () => {
      const first = (await EchoServer.bind("bindReuseport")).serve();
      const second = (await EchoServer.bind("bindReuseport", { port: first.port })).serve();
      // The kernel picks by a hash of the addresses: with 64 senders, one socket gets none in 1 of 2^63 runs.
      for (let i = 0; i < 64; i++) {
        using peer = new Peer(first);
        await peer.send(1);
        assertEquals(await peer.receive(), [2]);
      }
      const [one, other] = [await first.close(), await second.close()];
      assertEquals(one + other, 64);
      assert(one > 0 && other > 0, `${one} and ${other}`);
    });

    it("answers each datagram of a message", async () => {
      await using server = (await EchoServer.bind("bindReuseport")).serve();
      const texts = Array.from({ length: 300 }, (_, i) => [i % 7 === 0 ? 0 : 1, i >> 8, i & 255]); // 0: no answer
      const expected = texts.filter(([first]) => first !== 0).map((bytes) => bytes.map((byte) => byte + 1 & 255));

      const socket = new ConnectedSocket(server.hostname, server.port, 500);
      const received: number[][] = [];
      for (const bytes of texts) {
        bytes.forEach((byte, i) => socket.slot.setUint8(i, byte));
        socket.add(bytes.length);
      }
      socket.send();
      while (received.length < expected.length) {
        const take = (response: DataView, length: number) => {
          received.push(Array.from({ length }, (_, i) => response.getUint8(i)));
        };
        assert(socket.receive(take) > 0, `${received.length} answers of ${expected.length}`);
      }
      socket.close();
      assertEquals(received, expected);
    });

    it("does not share its port with a socket of another kind", async () => {
      await using server = await EchoServer.bind("bindReuseport");
      const { hostname, port } = server;
      assertThrows(() => listenDatagram({ hostname, port }), Deno.errors.AddrInUse);
    });

    it("gets the datagrams of its CPU, and of CPUs without a socket", async () => {
      await using server = (await EchoServer.bind("bindReuseport", { incomingCpu: 0 })).serve();
      using peer = new Peer(server);
      await peer.send(1);
      assertEquals(await peer.receive(), [2]);
    });

    it("gets the datagrams of another CPU after setIncomingCpu, and counts its traffic", async () => {
      const socket = bindReuseport({ hostname: "127.0.0.1", port: 0, incomingCpu: 0 });
      using peer = new Peer(socket);
      for (let i = 0; i < 3; i++) await peer.send(1);
      const served = socket.serve(() => 0);
      assertEquals(socket.takeTraffic(), { messages: 3, receives: 1 });
      assertEquals(socket.takeTraffic(), { messages: 0, receives: 0 });
      for (const cpu of [1, -1]) {
        socket.setIncomingCpu(cpu);
        await peer.send(1);
        await until("it has come", () => socket.takeTraffic().messages === 1);
      }
      socket.close();
      await served;
    });

    it("counts the datagrams that the kernel drops since the socket has no room for them", async () => {
      const socket = bindReuseport({ hostname: "127.0.0.1", port: 0 });
      assertEquals(socket.takeDrops(), { notFromClient: 0, shed: 0, overflowed: 0 });
      using peer = new Peer(socket);
      let [sent, drops, received] = [0, 0, 0];
      while (drops === 0) {
        for (let i = 0; i < 1000; i++) await peer.send(1);
        sent += 1000;
        drops = socket.takeDrops().overflowed;
      }
      const served = socket.serve(() => (received++, 0));
      await until("all others are received", () => received + drops === sent);
      assert(drops < sent, `${drops} of ${sent}`);
      assertEquals(socket.takeDrops(), { notFromClient: 0, shed: 0, overflowed: 0 });
      socket.close();
      await served;
    });

    for (const [hostname, asked] of ASKED) {
      it(`leaves the group of ${hostname}, and answers the datagrams in its queue from ${asked}`, async () => {
        const leaving = bindReuseport({ hostname, port: 0 });
        const staying = await EchoServer.bind("bindReuseport", { hostname, port: leaving.port });
        const address = { hostname: asked, port: leaving.port };
        const peers = Array.from({ length: 32 }, () => new Peer(address));
        for (const peer of peers) await peer.send(1);
        leaving.leaveGroup();
        for (const peer of peers) await peer.send(3);
        let [before, after] = [0, 0];
        const served = leaving.serve((datagram) => {
          if (datagram.getUint8(0) === 1) before++;
          else after++;
          datagram.setUint8(0, datagram.getUint8(0) + 1);
          return 1;
        });
        staying.serve();
        for (const peer of peers) {
          assertEquals([await peer.receive(), await peer.receive()].flat().sort(), [2, 4]);
          peer[Symbol.dispose]();
        }
        leaving.close();
        await served;
        assert(before > 0, "it had some of those that were sent before");
        assertEquals(after, 0, "and got none of those after");
        assertEquals(await staying.close(), 64 - before);
      });
    }

    for (const [hostname, asked] of ASKED) {
      it(`bound to ${hostname}, answers each datagram of a message from the address asked: ${asked}`, async () => {
        await using server = (await EchoServer.bind("bindReuseport", { hostname })).serve();
        const client = new ConnectedSocket(asked, server.port, 500); // hears nothing from another address
        for (const count of [1, 2, 150]) {
          for (let i = 0; i < count; i++) {
            client.slot.setUint8(0, i + 1);
            client.add(1);
          }
          client.send();
          let answers = 0;
          while (answers < count) {
            const received = client.receive((answer, length) => {
              assertEquals([length, answer.getUint8(0)], [1, ++answers + 1]);
            });
            assert(received > 0, `${answers} answers of ${count}`);
          }
        }
        client.close();
      });
    }

    it("answers one sender from several addresses", async () => {
      await using server = await EchoServer.bind("bindReuseport", { hostname: "0.0.0.0" });
      const conn = Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port: 0 });
      const asked = Array.from({ length: 40 }, (_, i) => `127.0.0.${1 + Math.floor(i / 3) % 4}`);
      for (const [i, hostname] of asked.entries()) {
        await conn.send(Uint8Array.of(1, i), { transport: "udp", hostname, port: server.port });
      }
      server.serve(); // finds all in the queue
      for (const [i, hostname] of asked.entries()) {
        const [answer, sender] = await conn.receive();
        assertEquals([...answer, (sender as Deno.NetAddr).hostname], [2, i + 1, hostname]);
      }
      conn.close();
    });

    it("tells its listener of each batch, before and after it answers", async () => {
      const socket = bindReuseport({ hostname: "127.0.0.1", port: 0 });
      const client = new ConnectedSocket("127.0.0.1", socket.port, 500);
      for (let i = 0; i < 70; i++) client.add(4);
      client.send();
      const heard: string[] = [];
      let answered = 0;
      const served = socket.serve(() => (answered++, 0), {
        onBatch: (datagrams) => heard.push(`${answered} answered, ${datagrams} more`),
        onBatchEnd: () => heard.push(`${answered} answered`),
      });
      assertEquals(heard, ["0 answered, 70 more", "70 answered"]);
      client.close();
      socket.close();
      await served;
    });

    it("answers a modest client among the messages of one that floods it, and drops most of the flood", async () => {
      const socket = bindReuseport({ hostname: "127.0.0.1", port: 0 });
      const flood = new ConnectedSocket("127.0.0.1", socket.port, 500);
      using peer = new Peer(socket);
      const send = (messages: number) => {
        for (let i = 0; i < 64 * messages; i++) flood.add(1);
        flood.send();
      };
      send(50);
      await peer.send(1, 2, 3);
      send(950); // far more than a worker lets wait, and more than some systems have room for
      let flooded = 0;
      const served = socket.serve((_, length) => {
        if (length === 1) flooded++;
        return length === 1 ? 0 : length;
      });
      assertEquals(await peer.receive(), [1, 2, 3]);
      await peer.send(4, 5, 6); // comes behind the flood
      assertEquals(await peer.receive(), [4, 5, 6]);
      assertGreater(socket.takeDrops().shed, flooded);
      flood.close();
      socket.close();
      await served;
    });

    it("drops nothing of 64 clients with 64 requests in flight each", async () => {
      const socket = bindReuseport({ hostname: "127.0.0.1", port: 0 });
      const clients = Array.from({ length: 64 }, () => new ConnectedSocket("127.0.0.1", socket.port, 500));
      for (const client of clients) {
        for (let i = 0; i < 64; i++) client.add(32);
        client.send();
      }
      let answered = 0;
      const served = socket.serve(() => (answered++, 0));
      await until("all are answered", () => answered === 64 * 64);
      assertEquals(socket.takeDrops(), { notFromClient: 0, shed: 0, overflowed: 0 });
      clients.forEach((client) => client.close());
      socket.close();
      await served;
    });

    it("reads the clock anew in readClock", async () => {
      const socket = bindReuseport({ hostname: "127.0.0.1", port: 0 });
      const boundMs = socket.receivedMs;
      await until("the clock has gone on", () => socket.readClock());
      assertGreater(socket.receivedMs, boundMs);
      socket.close();
    });

    for (const code of WRONG_ERRNOS) {
      it(`goes on after a time without datagrams, whatever errno says: ${code}`, async () => {
        const socket = bindReuseport({ hostname: "127.0.0.1", port: 0 }, libcWithErrno(code));
        using peer = new Peer(socket);
        const served = socket.serve((datagram) => (datagram.setUint8(0, 2), 1));
        for (let round = 0; round < 2; round++) {
          await sleep(10); // the socket has blocked until its timeout, and waits in another thread
          await peer.send(1);
          assertEquals(await peer.receive(), [2]);
        }
        socket.close();
        await served;
      });

      it(`tells why it cannot be bound, whatever errno says: ${code}`, async () => {
        const libc = libcWithErrno(code);
        await using server = await EchoServer.bind("listenDatagram");
        const { hostname, port } = server;
        assertThrows(() => bindReuseport({ hostname, port }, libc), Deno.errors.AddrInUse);
        for (const hostname of ["192.0.2.1", "2001:db8::1"]) {
          assertThrows(() => bindReuseport({ hostname, port }, libc), Deno.errors.AddrNotAvailable);
        }
      });
    }

    it("refuses a hostname that is not an IP address", async () => {
      for (const hostname of ["localhost", "", "127.1", "1.2.3.4.5", "256.1.1.1", "::1%lo", "[::1]"]) {
        assertThrows(
          () => bindReuseport({ hostname, port: 0 }),
          TypeError,
          "hostname must be an IPv4 or IPv6 address: got",
        );
      }
      const { name } = await assertRejects(
        () => EchoServer.bind("bindReuseport", { hostname: "x" }),
        Error,
        "hostname",
      );
      assertEquals(name, "TypeError");
    });
  });
}
