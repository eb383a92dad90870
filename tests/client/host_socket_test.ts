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
    this.#events.get(address)?.onDatagram(new DataView(new ArrayBuffer(8)), 8, 9999);
  }

  fail(address: string, error = new Error(`no route to ${address}`)): void {
    this.#events.get(address)?.onSendError(error);
  }
}

/** Counts what a socket tells, and never waits. */
class Heard implements RequestSocketEvents {
  datagrams = 0;
  /** Whether the datagrams that come now are responses. */
  areResponses = true;
  readonly errors: string[] = [];
  readonly denials: string[] = [];

  onDatagram(): boolean {
    this.datagrams++;
    return this.areResponses;
  }

  onSendError(error: Error): void {
    (error instanceof Deno.errors.NotCapable ? this.denials : this.errors).push(error.message);
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

  it("tries the addresses of both families in turn, each after a delay, and sends all of them all requests", async () => {
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
    assertEquals([sockets.opened, sockets.closed], [["192.0.2.1", "192.0.2.7"], []]);
    assertEquals(sockets.sent.slice(-2), ["4 to 192.0.2.1:9999", "4 to 192.0.2.7:9999"]);
    sockets.answer("192.0.2.7");
    assertEquals(sockets.closed, ["192.0.2.1"]);
    sockets.sent.splice(0);
    await send(5);
    assertEquals(sockets.sent, ["5 to 192.0.2.7:9999"]);
    socket.close();
  });

  it("chooses no address by a datagram that is no response", async () => {
    using time = new HeldTime();
    const { sockets, heard, socket, send } = setUp("2001:db8::1", "192.0.2.1");
    heard.areResponses = false;
    await send(1);
    sockets.answer("2001:db8::1");
    await time.fire();
    assertEquals([heard.datagrams, sockets.opened, sockets.closed], [1, ["2001:db8::1", "192.0.2.1"], []]);
    heard.areResponses = true;
    sockets.answer("192.0.2.1");
    heard.areResponses = false;
    time.ms = 500;
    await send(2);
    time.ms = 1501;
    sockets.answer("192.0.2.1");
    await send(3);
    assertEquals(sockets.opened.length, 2);
    await time.fire();
    assertEquals(sockets.opened.length, 3, "it has been silent for a second");
    socket.close();
  });

  it("takes an answer that comes after more than a second, and then does not look again so soon", async () => {
    using time = new HeldTime();
    const { sockets, names, socket, send } = setUp("192.0.2.1");
    await send(0);
    sockets.answer("192.0.2.1");
    for (let round = 0; round < 4; round++) {
      time.ms = round * 10_000;
      await send(1);
      time.ms += 1400;
      await send(2);
      await time.fire();
      time.ms += 100;
      sockets.answer("192.0.2.1");
    }
    assertEquals([sockets.opened.length, sockets.closed.length], [1, 0]);
    assertEquals(names.length, 2, "when it began, and in the first silence");
    time.ms = 50_000;
    await send(3);
    sockets.answer("192.0.2.1");
    await send(4);
    time.ms += 1001;
    await send(5);
    assertEquals(names.length, 3, "an answer that came at once ends the patience");
    socket.close();
  });

  it("keeps the address that it has as long as the name cannot be resolved", async () => {
    using time = new HeldTime();
    const { sockets, heard, addresses, socket, send } = setUp("192.0.2.1");
    await send(1);
    sockets.answer("192.0.2.1");
    addresses.splice(0);
    await send(2);
    time.ms = 1001;
    await send(3);
    assertEquals(heard.errors, ["no address for ids.test"]);
    sockets.answer("192.0.2.1");
    await send(4);
    assertEquals(sockets.sent, [1, 2, 3, 4].map((number) => `${number} to 192.0.2.1:9999`));
    socket.close();
  });

  const denied = (address: string) => new Deno.errors.NotCapable(`Requires net access to "${address}"`);

  it("goes on with the other addresses where the program may not send to one", async () => {
    using _time = new HeldTime();
    const { sockets, heard, socket, send } = setUp("2001:db8::1", "192.0.2.1");
    await send(1);
    sockets.fail("2001:db8::1", denied("2001:db8::1"));
    await turn();
    sockets.answer("192.0.2.1");
    assertEquals([heard.denials, heard.errors], [[], ['Requires net access to "2001:db8::1"']]);
    assertEquals([sockets.opened.length, heard.datagrams], [2, 1]);
    socket.close();
  });

  it("fails for good where the program may send to none of the addresses", async () => {
    using _time = new HeldTime();
    const { sockets, heard, names, socket, send } = setUp("2001:db8::1", "192.0.2.1");
    for (const round of [1, 2]) {
      await send(1);
      for (const address of ["2001:db8::1", "192.0.2.1"]) {
        assertEquals(heard.denials.length, round - 1);
        sockets.fail(address, denied(address));
        await turn();
      }
      assertEquals([heard.denials.length, names.length], [round, round]);
    }
    assertEquals(heard.denials[0], 'Requires net access to "192.0.2.1"');
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
