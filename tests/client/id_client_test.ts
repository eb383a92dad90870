import { assert, assertEquals, assertGreater, assertLess, assertRejects, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import {
  ClosedError,
  GlobalIdError,
  IdClient,
  type IdClientOptions,
  NoResponseError,
  RefusedError,
  RepeatedIdError,
  RetryableError,
  UnavailableError,
} from "../../client.ts";
import { WireStatus } from "../../lib/wire/protocol.ts";
import { keyOf } from "../access/keys.ts";
import { HeldTime } from "../held_time.ts";
import { grant, refuse, ScriptedServer, type SeenRequest } from "./scripted_server.ts";

/** Long enough for any response on loopback, so that only what a script leaves out is asked for again. */
const PATIENT = { retransmitMs: 60_000, timeoutMs: 120_000 };

/** Asks again soon, and never gives up within a test. */
const EAGER = { retransmitMs: 10, timeoutMs: 120_000 };

describe("IdClient.nextId and nextIds", () => {
  it("asks for one id at a time, and returns the ids that the server granted", async () => {
    await using server = new ScriptedServer((request) => [grant(request, 1000n + BigInt(request.index))]);
    using client = new IdClient({ port: server.port, ...PATIENT });
    assertEquals(await client.nextId(), 1000n);
    assertEquals(await client.nextId(), 1001n);
    assertEquals(server.requests.map(({ count }) => count), [1, 1]);
  });

  it("reaches a server by its name", async () => {
    await using server = new ScriptedServer((request) => [grant(request, 7n)]);
    using client = new IdClient({ hostname: "localhost", port: server.port, ...EAGER });
    assertEquals(await client.nextId(), 7n);
  });

  it("has many requests in flight on one socket, and matches responses by their tags, in any order", async () => {
    const waiting: [SeenRequest, (datagrams: Uint8Array[]) => void][] = [];
    await using server = new ScriptedServer((request) =>
      new Promise((resolve) => {
        waiting.push([request, resolve]);
        if (waiting.length < 100) return;
        for (const [request, resolve] of waiting.reverse()) resolve([grant(request, BigInt(request.index))]);
      })
    );
    using client = new IdClient({ port: server.port, ...PATIENT });
    const ids = await Promise.all(Array.from({ length: 100 }, () => client.nextId()));
    // Calls send in their order, so that each answer must be that of its own request.
    assertEquals(ids, ids.map((_, i) => BigInt(i)));
  });

  it("ignores repeated and late responses", async () => {
    let late: Uint8Array = new Uint8Array();
    await using server = new ScriptedServer((request) => {
      const answer = grant(request, BigInt(request.index));
      if (request.index === 0) {
        late = answer;
        return [answer, answer, answer];
      }
      return [late, answer, answer, late];
    });
    using client = new IdClient({ port: server.port, ...PATIENT });
    for (let i = 0n; i < 20n; i++) assertEquals(await client.nextId(), i);
  });

  it("ignores datagrams that are no responses to its requests", async () => {
    await using server = new ScriptedServer((request) => {
      const good = grant(request, 7n);
      const otherTag = grant({ ...request, tagHigh: request.tagHigh ^ 1 }, 666n);
      const badReserved = good.slice();
      badReserved[3] = 1;
      const tooMany = [request.count + 1, 2 ** 32 - 1].map((granted) => grant(request, 8n, { granted }));
      return [new Uint8Array(), Uint8Array.of(1), good.slice(0, 31), badReserved, otherTag, ...tooMany, good];
    });
    using client = new IdClient({ port: server.port, ...PATIENT });
    assertEquals(await client.nextId(), 7n);
  });

  it("believes no answer from another address or port than those that it asked", async () => {
    const forge = (stranger: ScriptedServer, request: SeenRequest) =>
      stranger.send(grant(request, 666n), request.sender);
    await using server: ScriptedServer = new ScriptedServer(async (request) => {
      for (const stranger of [otherPort, otherAddress, otherServer]) await forge(stranger, request);
      return [grant(request, 7n + BigInt(request.index))];
    });
    await using otherPort = new ScriptedServer(() => []);
    await using otherAddress = new ScriptedServer(() => [], "127.0.0.2", server.port);
    await using otherServer = new ScriptedServer(() => []);
    using client = new IdClient({ port: [server.port, otherServer.port], ...PATIENT });
    assertEquals(await client.nextId(), 7n);
    using byName = new IdClient({ hostname: "localhost", port: server.port, ...EAGER });
    assertGreater(await byName.nextId(), 7n);
    assertLess(await byName.nextId(), 666n);
  });

  it("says that a server grants an id twice, and takes the others", async () => {
    const firsts = [10n, 20n, 11n, 30n];
    await using server = new ScriptedServer((request) => [grant(request, firsts[request.index])]);
    using client = new IdClient({ port: server.port, ...PATIENT });
    assertEquals(await client.nextIds(3), [10n, 11n, 12n]);
    assertEquals(await client.nextId(), 20n);
    const error = await assertRejects(() => client.nextId(), RepeatedIdError, "two servers have one node id");
    assertEquals([error.server, error.id], [`127.0.0.1:${server.port}`, 11n]);
    assertEquals(await client.nextId(), 30n);
  });

  it("retransmits unanswered requests, with the same tag", async () => {
    await using server = new ScriptedServer((request) => request.index < 3 ? [] : [grant(request, 5n)]);
    using client = new IdClient({ port: server.port, ...EAGER });
    assertEquals(await client.nextId(), 5n);
    assertGreater(server.requests.length, 3);
    assertEquals(new Set(server.requests.map(({ tagLow }) => tagLow)).size, 1);
  });

  it("gives up at the time-out, and names the server and the number of tries", async () => {
    await using server = new ScriptedServer(() => []);
    using client = new IdClient({ port: server.port, retransmitMs: 10, timeoutMs: 100 });
    const error = await assertRejects(() => client.nextId(), NoResponseError);
    assert(error instanceof GlobalIdError);
    assertEquals(error.server, `127.0.0.1:${server.port}`);
    assertGreater(error.tries, 1);
  });

  it("fails with the error of the last attempt to send", async () => {
    using client = new IdClient({ hostname: "host.invalid", retransmitMs: 10, timeoutMs: 30 });
    const error = await assertRejects(() => client.nextId(), NoResponseError, "host.invalid:9999");
    assertGreater(error.tries, 0);
  });

  for (
    const [reason, status] of [
      ["out-of-ids", WireStatus.OUT_OF_IDS],
      ["clock-behind", WireStatus.CLOCK_BEHIND],
      ["not-serving", WireStatus.NOT_SERVING],
    ] as const
  ) {
    it(`waits as long as the server says after "${reason}"`, async () => {
      const answeredMs: number[] = [];
      await using server = new ScriptedServer((request) => {
        answeredMs.push(performance.now());
        return [request.index < 2 ? refuse(request, status, 30) : grant(request, 5n)];
      });
      using client = new IdClient({ port: server.port, ...PATIENT });
      assertEquals(await client.nextId(), 5n);
      assertEquals(answeredMs.length, 3);
      // Timers of both sides may be a millisecond early.
      for (const i of [1, 2]) assertGreater(answeredMs[i] - answeredMs[i - 1], 28);
    });

    it(`fails if the wait after "${reason}" would end past the time-out`, async () => {
      await using server = new ScriptedServer((request) => [refuse(request, status, 121_000)]);
      using client = new IdClient({ port: server.port, ...PATIENT });
      const error = await assertRejects(() => client.nextId(), UnavailableError, "the server has no ids");
      assert(error instanceof RetryableError);
      assertEquals([error.reason, error.retryAfterMs], [reason, 121_000]);
      assertEquals(server.requests.length, 1);
    });
  }

  for (
    const [reason, status] of [["out-of-time", WireStatus.OUT_OF_TIME], [
      "bad-request",
      WireStatus.BAD_REQUEST,
    ]] as const
  ) {
    it(`fails at once after "${reason}"`, async () => {
      await using server = new ScriptedServer((request) => [refuse(request, status, 0)]);
      using client = new IdClient({ port: server.port, ...PATIENT });
      const error = await assertRejects(() => client.nextId(), RefusedError);
      assert(!(error instanceof RetryableError));
      assertEquals(error.reason, reason);
      assertEquals(server.requests.length, 1);
    });
  }

  it("asks for the rest where the server granted fewer ids", async () => {
    await using server = new ScriptedServer((request) => {
      if (request.index === 1) return [refuse(request, WireStatus.OUT_OF_IDS, 1)];
      return [grant(request, BigInt(request.index) * 1000n, { granted: Math.min(request.count, 4), step: 10n })];
    });
    using client = new IdClient({ port: server.port, ...PATIENT });
    assertEquals(await client.nextIds(10), [0n, 10n, 20n, 30n, 2000n, 2010n, 2020n, 2030n, 3000n, 3010n]);
    assertEquals(server.requests.map(({ count }) => count), [10, 6, 6, 2]);
    assertEquals(await client.nextIds(0), []);
    assertEquals(server.requests.length, 4);
  });

  it("iterates over ids until it is closed", async () => {
    await using server = new ScriptedServer((request) => [grant(request, BigInt(request.index))]);
    using client = new IdClient({ port: server.port, ...PATIENT });
    const ids: bigint[] = [];
    for await (const id of client) {
      if (ids.push(id) === 3) client.close();
    }
    assertEquals(ids, [0n, 1n, 2n]);
  });
});

describe("IdClientOptions.prefetch", () => {
  it("returns the ids of a range from memory", async () => {
    await using server = new ScriptedServer((request) => [grant(request, BigInt(request.index) * 100n, { step: 2n })]);
    using client = new IdClient({ port: server.port, prefetch: 5, ...PATIENT });
    const ids: bigint[] = [];
    for (let i = 0; i < 11; i++) ids.push(await client.nextId());
    assertEquals(ids, [0n, 2n, 4n, 6n, 8n, 100n, 102n, 104n, 106n, 108n, 200n]);
    assertEquals(server.requests.map(({ count }) => count), [5, 5, 5]);
  });

  it("fetches once for all calls that wait, and one id for each at least", async () => {
    await using server = new ScriptedServer((request) => [grant(request, BigInt(request.index) * 100n)]);
    using client = new IdClient({ port: server.port, prefetch: 2, ...PATIENT });
    const first = await Promise.all(Array.from({ length: 9 }, () => client.nextId()));
    assertEquals(new Set(first).size, 9);
    assertEquals(server.requests.map(({ count }) => count), [2, 7]);
  });

  it("passes an error on to all calls that wait, and fetches anew for the next call", async () => {
    await using server = new ScriptedServer((request) => [
      request.index === 0 ? refuse(request, WireStatus.OUT_OF_TIME, 0) : grant(request, 3n),
    ]);
    using client = new IdClient({ port: server.port, prefetch: 10, ...PATIENT });
    const results = await Promise.allSettled([client.nextId(), client.nextId(), client.nextId()]);
    assertEquals(results.map(({ status }) => status), ["rejected", "rejected", "rejected"]);
    assertEquals(await client.nextId(), 3n);
  });
});

describe("IdClientOptions.timeoutMs", () => {
  /** No retransmission, and a time-out that the test's own time brings about. */
  const HASTY = { retransmitMs: 60_000, timeoutMs: 1000 };

  /** Grants one id a request, so many ms after it. */
  function slowServer(time: HeldTime, ms: number): ScriptedServer {
    return new ScriptedServer(async (request) => {
      await time.goTo(time.ms + ms);
      return [grant(request, BigInt(request.index), { granted: 1 })];
    });
  }

  it("limits nextIds as a whole, however many responses come", async () => {
    using time = new HeldTime();
    await using server = slowServer(time, 300);
    using client = new IdClient({ port: server.port, ...HASTY });
    await assertRejects(() => client.nextIds(100), NoResponseError);
    assertEquals([server.requests.length, time.ms], [4, 1000]);
  });

  it("limits nextIds where responses come without a pause", async () => {
    using time = new HeldTime();
    await using server = slowServer(time, 1);
    using client = new IdClient({ port: server.port, ...HASTY });
    await assertRejects(() => client.nextIds(1_000_000), NoResponseError);
    assertEquals(server.requests.length, 1000);
  });

  it("gives each id of a loop over the client the whole time", async () => {
    using time = new HeldTime();
    await using server = slowServer(time, 700);
    using client = new IdClient({ port: server.port, prefetch: 50, ...HASTY });
    const ids: bigint[] = [];
    for await (const id of client) if (ids.push(id) === 5) break;
    assertEquals([ids.length, time.ms], [5, 3500]);
  });

  it("limits each nextId with prefetch, however many refills the calls before it took", async () => {
    using time = new HeldTime();
    await using server = slowServer(time, 300);
    using client = new IdClient({ port: server.port, prefetch: 50, ...HASTY });
    const results = await Promise.allSettled(Array.from({ length: 10 }, () => client.nextId()));
    assertEquals([server.requests.length, time.ms], [4, 1000]);
    const ids = results.filter((result) => result.status === "fulfilled").map(({ value }) => value);
    assertEquals(ids, [0n, 1n, 2n], "the oldest calls come first");
    for (const result of results) assert(result.status === "fulfilled" || result.reason instanceof NoResponseError);
  });
});

describe("IdClientOptions.port, several", () => {
  it("asks the ports in turn", async () => {
    await using first = new ScriptedServer((request) => [grant(request, 10n + BigInt(request.index))]);
    await using second = new ScriptedServer((request) => [grant(request, 20n + BigInt(request.index))]);
    using client = new IdClient({ port: [first.port, second.port], ...PATIENT });
    const ids: bigint[] = [];
    for (let i = 0; i < 4; i++) ids.push(await client.nextId());
    assertEquals(ids, [10n, 20n, 11n, 21n]);
  });

  it("asks the next port at once when one is out of ids, and waits only when all are", async () => {
    await using first = new ScriptedServer((request) => [
      request.index === 0 ? refuse(request, WireStatus.OUT_OF_IDS, 100_000) : grant(request, 1n),
    ]);
    await using second = new ScriptedServer((request) => [
      request.index === 0 ? refuse(request, WireStatus.OUT_OF_IDS, 1) : grant(request, 2n),
    ]);
    using client = new IdClient({ port: [first.port, second.port], ...PATIENT });
    // Both refuse; then it waits for the sooner of the two, and the first, whose turn it is, has ids.
    assertEquals(await client.nextId(), 1n);
    assertEquals([first.requests.length, second.requests.length], [2, 1]);
  });

  it("retransmits to the next port when one is silent", async () => {
    await using silent = new ScriptedServer(() => []);
    await using server = new ScriptedServer((request) => [grant(request, 2n)]);
    using client = new IdClient({ port: [silent.port, server.port], ...EAGER });
    assertEquals(await client.nextId(), 2n);
  });
});

describe("IdClientOptions.servers", () => {
  /** Grants ids from a first one on, as long as the test has it answer. */
  class Switched extends ScriptedServer {
    isOn = true;

    constructor(first: bigint) {
      let next = first;
      super((request) => {
        if (!this.isOn) return [];
        const datagram = grant(request, next);
        next += BigInt(request.count);
        return [datagram];
      });
    }

    get endpoint(): string {
      return `127.0.0.1:${this.port}`;
    }
  }

  it("goes on to the next server, and names the server of a repeated id", async () => {
    await using first = new Switched(1000n);
    await using second = new Switched(500n);
    using client = new IdClient({
      servers: [first.endpoint, { hostname: "127.0.0.1", port: second.port }],
      ...PATIENT,
    });
    second.isOn = false; // on a busy machine, it might be asked as well
    assertEquals(await client.nextId(), 1000n);
    [first.isOn, second.isOn] = [false, true];
    assertLess(await client.nextId(), 1000n);
    await using third = new ScriptedServer((request) => [grant(request, 1000n)]);
    using other = new IdClient({ servers: [`127.0.0.1:${third.port}`], ...PATIENT });
    assertEquals(await other.nextId(), 1000n);
    const error = await assertRejects(() => other.nextId(), RepeatedIdError);
    assertEquals(error.server, `127.0.0.1:${third.port}`);
  });

  it("hands out no id that was fetched ahead from one server after an id of another", async () => {
    await using first = new Switched(1000n);
    await using second = new Switched(2_000_000n);
    const options = { prefetch: 10, maxAgeMs: 120_000, ...PATIENT };
    using client = new IdClient({ servers: [first.endpoint, second.endpoint], ...options });
    second.isOn = false; // on a busy machine, it might be asked as well
    const early = await client.nextId();
    for (const id of await client.nextIds(2)) assertLess(id, 2_000_000n, "of the same server");
    assertEquals(await client.nextId(), early + 1n, "fetched ahead");
    [first.isOn, second.isOn] = [false, true];
    const [later] = await client.nextIds(1);
    assertGreater(later, 1_999_999n);
    assertGreater(await client.nextId(), later);
  });

  it("finds the servers by a function, and all addresses of a name", async () => {
    await using server = new Switched(1000n);
    using found = new IdClient({ servers: () => Promise.resolve([server.endpoint]), ...PATIENT });
    assertEquals(await found.nextId(), 1000n);
    using named = new IdClient({ servers: `dns:localhost:${server.port}`, retransmitMs: 200, timeoutMs: 120_000 });
    assertGreater(await named.nextId(), 1000n);
  });

  it("fails calls where no server is found", async () => {
    using client = new IdClient({ servers: () => Promise.resolve([]), retransmitMs: 10, timeoutMs: 50 });
    await assertRejects(() => client.nextId(), NoResponseError, "no server is known");
  });
});

describe("IdClient.close", () => {
  it("fails the calls under way and all later ones", async () => {
    const seen = Promise.withResolvers<void>();
    await using server = new ScriptedServer((request) => {
      if (request.index === 2) seen.resolve();
      return request.count === 77 ? [refuse(request, WireStatus.OUT_OF_IDS, 50_000)] : [];
    });
    const client = new IdClient({ port: server.port, ...PATIENT });
    const calls = Promise.allSettled([client.nextId(), client.nextIds(5), client.nextIds(77)]);
    await seen.promise;
    client.close();
    client.close();
    for (const result of await calls) {
      assert(result.status === "rejected" && result.reason instanceof ClosedError);
    }
    await assertRejects(() => client.nextId(), ClosedError, "the client is closed");
    await assertRejects(() => client.nextIds(2), ClosedError);
    for await (const _ of client) throw new Error("there is no next id");
  });

  it("ends a loop over the client that waits for an id", async () => {
    const seen = Promise.withResolvers<void>();
    await using server = new ScriptedServer(() => (seen.resolve(), []));
    const client = new IdClient({ port: server.port, ...PATIENT });
    const loop = (async () => {
      for await (const _ of client) throw new Error("the server answers nothing");
    })();
    await seen.promise;
    client.close();
    await loop;
  });

  it("drops the ids in memory", async () => {
    await using server = new ScriptedServer((request) => [grant(request, 1n)]);
    const client = new IdClient({ port: server.port, prefetch: 10, ...PATIENT });
    await client.nextId();
    client.close();
    await assertRejects(() => client.nextId(), ClosedError);
  });
});

describe("IdClient, wrong arguments", () => {
  const refused: [IdClientOptions, string][] = [
    [{ port: 0 }, "port must be an integer from 1 to 65535: got 0"],
    [{ port: 65_536 }, "port must be an integer from 1 to 65535: got 65536"],
    [{ port: [] }, "port must be at least one port"],
    [{ port: [1, -1] }, "port must be an integer from 1 to 65535: got -1"],
    [{ servers: [] }, "servers must have at least one server: got none"],
    [{ servers: ["127.0.0.1"] }, 'a server must be "host:port", "[IPv6 address]:port" or { hostname, port }: got "127'],
    [{ servers: "127.0.0.1:9999" }, 'servers must be a list, "dns:NAME:PORT", "store:etcd://…", or a function'],
    [{ servers: ["127.0.0.1:9999"], port: 9999 }, "servers takes the place of hostname and port: leave these two out"],
    [
      { servers: `store:etcd://h/${"x".repeat(70)}`, key: keyOf(1) },
      "cluster must be given, since the store's name is not 1 to 64",
    ],
    [{ cluster: "a b" }, "cluster must be 1 to 64 printable ASCII characters without spaces"],
    [{ prefetch: 0 }, "prefetch must be an integer from 1 to 4294967295: got 0"],
    [{ retransmitMs: 0 }, "retransmitMs must be an integer from 1 to 2147483647: got 0"],
    [{ timeoutMs: 1.5 }, "timeoutMs must be an integer from 1 to 2147483647: got 1.5"],
  ];
  for (const [options, message] of refused) {
    it(`refuses: ${message}`, () => {
      assertThrows(() => new IdClient(options), Error, message);
    });
  }

  it("accepts, without a key, a store whose name is no cluster's", () => {
    using client = new IdClient({ servers: `store:etcd://h/${"x".repeat(70)}` });
    assert(client !== undefined);
  });

  it("refuses a wrong count", async () => {
    using client = new IdClient();
    await assertRejects(() => client.nextIds(-1), RangeError, "count must be an integer from 0 to 4294967295: got -1");
    await assertRejects(() => client.nextIds("1" as unknown as number), TypeError, "count must be a number");
  });
});
