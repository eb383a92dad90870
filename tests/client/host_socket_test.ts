import { assert, assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { HostSocket } from "../../lib/client/_host_socket.ts";
import { openAddressSocket } from "../../lib/client/open_address_socket.ts";
import type { RequestSocket, RequestSocketEvents } from "../../lib/client/request_socket.ts";
import { HeldTime, turn } from "../held_time.ts";
import { until, within } from "../../testing/within.ts";

/** Sockets of a test's own, by address: what was sent to them, and whether they are closed. */
class FakeSockets {
  readonly opened: string[] = [];
  readonly sent: string[] = [];
  readonly closed: string[] = [];
  /** Addresses for which the machine has no sockets. */
  readonly unsupported = new Set<string>();
  readonly #events = new Map<string, RequestSocketEvents>();

  readonly open = (address: string, events: RequestSocketEvents): RequestSocket => {
    if (this.unsupported.has(address)) throw new Error(`no sockets for ${address}`);
    this.opened.push(address);
    this.#events.set(address, events);
    return {
      send: (datagram, _length, port) => this.sent.push(`${datagram.getUint32(0)} to ${address}:${port}`),
      close: () => this.closed.push(address),
    };
  };

  answer(address: string): void {
    this.#events.get(address)?.onDatagram(new DataView(new ArrayBuffer(8)), 8);
  }

  fail(address: string): void {
    this.#events.get(address)?.onSendError(new Error(`no route to ${address}`));
  }
}

/** Counts what a socket tells, and never waits. */
class Heard implements RequestSocketEvents {
  datagrams = 0;
  readonly errors: string[] = [];

  onDatagram(): void {
    this.datagrams++;
  }

  onSendError({ message }: Error): void {
    this.errors.push(message);
  }

  isWaiting(): boolean {
    return false;
  }
}

function numbered(number: number): DataView<ArrayBuffer> {
  const datagram = new DataView(new ArrayBuffer(32));
  datagram.setUint32(0, number);
  return datagram;
}

/** A socket for a name with these addresses; `names` is what was resolved. */
function setUp(...addresses: string[]) {
  const [sockets, heard, names] = [new FakeSockets(), new Heard(), [] as string[]];
  const resolve = (name: string) => {
    names.push(name);
    return addresses.length > 0 ? Promise.resolve(addresses) : Promise.reject(new Error(`no address for ${name}`));
  };
  const socket = new HostSocket("ids.test", heard, { open: sockets.open, resolve });
  const send = async (number: number) => {
    socket.send(numbered(number), 32, 9999);
    await turn();
  };
  return { sockets, heard, names, addresses, socket, send };
}

describe("HostSocket", () => {
  it("opens nothing before the first request", () => {
    const { sockets, names, socket } = setUp("192.0.2.1");
    socket.close();
    assertEquals([sockets.opened, names], [[], []]);
  });

  it("tries the addresses of both families in turn, each after a delay, and sends all requests to those tried", async () => {
    using time = new HeldTime();
    const { sockets, socket, send } = setUp("2001:db8::1", "2001:db8::2", "192.0.2.1", "192.0.2.2", "192.0.2.3");
    await send(1);
    assertEquals(sockets.sent, ["1 to 2001:db8::1:9999"]);
    await send(2);
    await time.fire();
    assertEquals(sockets.sent.slice(1), ["2 to 2001:db8::1:9999", "1 to 192.0.2.1:9999", "2 to 192.0.2.1:9999"]);
    for (let i = 0; i < 3; i++) await time.fire();
    assertEquals(sockets.opened, ["2001:db8::1", "192.0.2.1", "2001:db8::2", "192.0.2.2", "192.0.2.3"]);
    assertEquals(sockets.closed, []);
    socket.close();
    assertEquals(sockets.closed.length, 5);
  });

  it("keeps the address that answers, and closes the others", async () => {
    using time = new HeldTime();
    const { sockets, heard, names, socket, send } = setUp("2001:db8::1", "192.0.2.1", "2001:db8::2");
    await send(1);
    await time.fire();
    sockets.answer("192.0.2.1");
    assertEquals([sockets.closed, heard.datagrams], [["2001:db8::1"], 1]);
    sockets.sent.splice(0);
    await send(2);
    await time.fire();
    assertEquals(sockets.sent, ["2 to 192.0.2.1:9999"]);
    assertEquals([sockets.opened.length, names.length], [2, 1]);
    socket.close();
  });

  it("keeps an address that answers after all have been tried", async () => {
    using time = new HeldTime();
    const { sockets, socket, send } = setUp("2001:db8::1", "192.0.2.1");
    await send(1);
    for (let i = 0; i < 3; i++) await time.fire();
    sockets.answer("2001:db8::1");
    sockets.sent.splice(0);
    await send(2);
    assertEquals([sockets.sent, sockets.closed], [["2 to 2001:db8::1:9999"], ["192.0.2.1"]]);
    socket.close();
  });

  it("tries the next address at once where one cannot be reached", async () => {
    using _time = new HeldTime();
    const { sockets, heard, socket, send } = setUp("2001:db8::1", "192.0.2.1");
    await send(1);
    sockets.fail("2001:db8::1");
    await turn();
    assertEquals(sockets.sent, ["1 to 2001:db8::1:9999", "1 to 192.0.2.1:9999"]);
    assertEquals(heard.errors, ["no route to 2001:db8::1"]);
    socket.close();
  });

  it("tries the next address at once where the machine has no sockets for one", async () => {
    using time = new HeldTime();
    const { sockets, heard, socket, send } = setUp("2001:db8::1", "192.0.2.1", "2001:db8::2", "192.0.2.2");
    sockets.unsupported.add("2001:db8::1").add("2001:db8::2");
    await send(1);
    assertEquals(sockets.sent, ["1 to 192.0.2.1:9999"]);
    await time.fire();
    assertEquals(sockets.sent.slice(1), ["1 to 192.0.2.2:9999"]);
    assertEquals(heard.errors, ["no sockets for 2001:db8::1", "no sockets for 2001:db8::2"]);
    socket.close();
  });

  it("looks again with the next request after the machine had sockets for none", async () => {
    const { sockets, names, socket, send } = setUp("2001:db8::1");
    sockets.unsupported.add("2001:db8::1");
    await send(1);
    sockets.unsupported.clear();
    await send(2);
    assertEquals([sockets.sent, names.length], [["2 to 2001:db8::1:9999"], 2]);
    socket.close();
  });

  it("looks for an address again when the one that it has kept falls silent, beginning with that one", async () => {
    using time = new HeldTime();
    const { sockets, names, addresses, socket, send } = setUp("192.0.2.1");
    await send(1);
    sockets.answer("192.0.2.1");
    addresses.splice(0, Infinity, "192.0.2.7");
    await send(2);
    time.ms = 1000;
    await send(3);
    assertEquals(names.length, 1, "a second may pass");
    time.ms = 1001;
    await send(4);
    await time.fire();
    assertEquals(names.length, 2);
    assertEquals(sockets.opened, ["192.0.2.1", "192.0.2.1", "192.0.2.7"]);
    sockets.answer("192.0.2.7");
    sockets.sent.splice(0);
    await send(5);
    assertEquals(sockets.sent, ["5 to 192.0.2.7:9999"]);
    socket.close();
  });

  it("says that a name has no address, and asks for it again with the next request", async () => {
    const { sockets, heard, names, addresses, socket, send } = setUp();
    await send(1);
    assertEquals(heard.errors, ["no address for ids.test"]);
    addresses.push("192.0.2.1");
    await send(2);
    assertEquals([sockets.sent, names.length], [["2 to 192.0.2.1:9999"], 2]);
    socket.close();
  });

  it("opens nothing more once it is closed", async () => {
    using time = new HeldTime();
    const { sockets, socket, send } = setUp("2001:db8::1", "192.0.2.1");
    await send(1);
    socket.close();
    await time.fire();
    assertEquals([sockets.opened, sockets.closed], [["2001:db8::1"], ["2001:db8::1"]]);
  });
});

describe("HostSocket, with real sockets", () => {
  for (
    const [what, server, addresses] of [
      ["the second address, of IPv4", "127.0.0.1", ["::1", "127.0.0.1"]],
      ["the second address, of IPv6", "::1", ["127.0.0.1", "::1"]],
      ["its only address, of IPv6", "::1", ["::1"]],
      ["the last address, after one without a route", "127.0.0.1", ["255.255.255.255", "::1", "127.0.0.1"]],
    ] as const
  ) {
    it(`reaches a server on ${what}`, async () => {
      const conn = Deno.listenDatagram({ transport: "udp", hostname: server, port: 0 });
      const { port } = conn.addr as Deno.NetAddr;
      const heard = new Heard();
      const resolve = () => Promise.resolve([...addresses]);
      const socket = new HostSocket("ids.test", Object.assign(heard, { isWaiting: () => heard.datagrams === 0 }), {
        ...{ open: openAddressSocket, resolve },
      });
      socket.send(numbered(7), 32, port);
      const [request, client] = await within("a request", conn.receive());
      assertEquals(new DataView(request.buffer).getUint32(0), 7);
      assert(client.transport === "udp");
      await conn.send(request, client);
      await until("the response", () => Promise.resolve(heard.datagrams === 1));
      socket.close();
      conn.close();
    });
  }
});
