import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { beforeEach, describe, it } from "@std/testing/bdd";
import { Mac } from "../../lib/access/mac.ts";
import { ReplayWindow } from "../../lib/access/replay_window.ts";
import { createSignedResponder } from "../../lib/access/signed_responder.ts";
import { IdClient, RefusedError } from "../../client.ts";
import { listenDatagram } from "../../lib/udp/listen_datagram.ts";
import type { Respond } from "../../lib/udp/udp_socket.ts";
import { SIGNED_BYTES, WireStatus } from "../../lib/wire/protocol.ts";
import { writeRangeError } from "../../lib/wire/range_error.ts";
import { keyOf } from "../access/keys.ts";

const KEY = keyOf(7);
const OTHER_KEY = keyOf(8);

/** Long enough for any response on loopback. */
const PATIENT = { retransmitMs: 60_000, timeoutMs: 120_000 };

/** A server that answers with `respond`, and with what it makes of the answers. */
class SignedServer implements AsyncDisposable {
  readonly requests: string[] = [];
  /** The status of each answer. */
  readonly statuses: number[] = [];
  isSilent = false;
  readonly #socket = listenDatagram({ hostname: "127.0.0.1", port: 0 });
  readonly #served: Promise<void>;

  constructor(respond: Respond) {
    this.#served = this.#socket.serve((datagram, length, source) => {
      this.requests.push(new Uint8Array(datagram.buffer, 0, length).toHex());
      const answer = this.isSilent ? 0 : respond(datagram, length, source);
      if (answer > 0) this.statuses.push(datagram.getUint8(1));
      return answer;
    });
  }

  get port(): number {
    return this.#socket.port;
  }

  async [Symbol.asyncDispose]() {
    this.#socket.close();
    await this.#served;
  }
}

/** The next id to grant. */
let next = 1000n;

/** Grants one id. */
const grantOne: Respond = (datagram) => {
  datagram.setUint32(4, 1);
  datagram.setBigUint64(16, next++);
  datagram.setBigUint64(24, 1n);
  return 32;
};

/** A server whose clock is ahead of this process's by so many ms, and which has been running for a while. */
function serverAhead(ms: number): SignedServer {
  const clock = { now: () => Date.now() + ms };
  return new SignedServer(
    createSignedResponder(grantOne, [new Mac(KEY)], new ReplayWindow(clock.now() - 60_000), clock),
  );
}

describe("IdClient with a key", () => {
  beforeEach(() => {
    next = 1000n;
  });

  it("signs its requests, another one every time, and takes ids from the server", async () => {
    await using server = serverAhead(0);
    using client = new IdClient({ port: server.port, key: KEY, ...PATIENT });
    assertEquals(await client.nextIds(3), [1000n, 1001n, 1002n]);
    assertEquals(server.requests.map((request) => request.length), [96, 96, 96]);
    assertEquals(new Set(server.requests.map((request) => request.slice(48, 64))).size, 3, "nonces");
  });

  it("signs a request anew when it sends it again", async () => {
    let seen = 0;
    const respond = createSignedResponder(grantOne, [new Mac(KEY)], new ReplayWindow(Date.now() - 60_000));
    await using server = new SignedServer((...args) => ++seen < 3 ? 0 : respond(...args));
    using client = new IdClient({ port: server.port, key: KEY, retransmitMs: 5, timeoutMs: 120_000 });
    assertEquals(await client.nextId(), 1000n);
    assertEquals(new Set(server.requests).size, server.requests.length);
  });

  for (const ahead of [-3_600_000, -2_000, 31_000, 3_600_000]) {
    it(`finds out that the server's clock is off by ${ahead} ms, with one request more`, async () => {
      await using server = serverAhead(ahead);
      using client = new IdClient({ port: server.port, key: KEY, ...PATIENT });
      for (const id of [1000n, 1001n, 1002n]) assertEquals(await client.nextId(), id);
      assertEquals(server.requests.length, 4);
    });
  }

  it("finds out how far each of several servers' clocks is off", async () => {
    await using ahead = serverAhead(3_600_000);
    await using behind = serverAhead(-3_600_000);
    const servers = [ahead, behind];
    using client = new IdClient({
      servers: servers.map(({ port }) => `127.0.0.1:${port}`),
      key: KEY,
      retransmitMs: 20,
      timeoutMs: 120_000,
    });
    const ids = new Set<bigint>();
    for (const silent of [behind, ahead, behind]) {
      for (const server of servers) server.isSilent = server === silent;
      for (let i = 0; i < 3; i++) ids.add(await client.nextId());
    }
    assertEquals(ids.size, 9);
    for (const { statuses } of servers) {
      const afterFirstGrant = statuses.slice(statuses.indexOf(WireStatus.OK));
      assertEquals(afterFirstGrant, afterFirstGrant.map(() => WireStatus.OK), "no request is stale any more");
    }
  });

  it("gives up on a server that does not like any time", async () => {
    const mac = new Mac(KEY);
    await using server = new SignedServer((datagram) => {
      writeRangeError(datagram, WireStatus.STALE, Date.now());
      return mac.signResponse(datagram);
    });
    using client = new IdClient({ port: server.port, key: KEY, ...PATIENT });
    const error = await assertRejects(() => client.nextId(), RefusedError, "a request of another time");
    assertEquals(error.reason, "stale");
  });

  it("waits for a new server, which cannot tell yet which requests are new", async () => {
    await using server = new SignedServer(
      createSignedResponder(grantOne, [new Mac(KEY)], new ReplayWindow(Date.now())),
    );
    using client = new IdClient({ port: server.port, key: KEY, ...PATIENT });
    assertEquals(await client.nextId(), 1000n);
  });

  const forged: Record<string, Respond> = {
    "an answer without a MAC": grantOne,
    "an answer with another key": (datagram, length, source) => {
      grantOne(datagram, length, source);
      return new Mac(OTHER_KEY).signResponse(datagram);
    },
    "an answer that was changed on the way": (datagram, length, source) => {
      grantOne(datagram, length, source);
      new Mac(KEY).signResponse(datagram);
      datagram.setUint8(23, datagram.getUint8(23) ^ 1);
      return SIGNED_BYTES;
    },
  };
  for (const [what, respond] of Object.entries(forged)) {
    it(`does not take ${what}, and asks again`, async () => {
      const mac = new Mac(KEY);
      await using server = new SignedServer((...args) => {
        if (server.requests.length < 3) return respond(...args);
        grantOne(...args);
        args[0].setBigUint64(16, 2000n);
        return mac.signResponse(args[0]);
      });
      using client = new IdClient({ port: server.port, key: KEY, retransmitMs: 5, timeoutMs: 120_000 });
      assertEquals(await client.nextId(), 2000n);
    });
  }

  it("does not take the answer to another of its requests, and asks again", async () => {
    const mac = new Mac(KEY);
    const earlier = new Uint8Array(SIGNED_BYTES);
    let [first, replays] = [1000n, 0];
    await using server = new SignedServer((datagram, length, source) => {
      const bytes = new Uint8Array(datagram.buffer, 0, SIGNED_BYTES);
      if (replays > 0) {
        replays--;
        bytes.set(earlier.subarray(0, 8));
        bytes.set(earlier.subarray(16), 16);
      } else {
        grantOne(datagram, length, source);
        datagram.setBigUint64(16, first);
        mac.signResponse(datagram);
        earlier.set(bytes);
      }
      return SIGNED_BYTES;
    });
    using client = new IdClient({ port: server.port, key: KEY, retransmitMs: 5, timeoutMs: 120_000 });
    assertEquals(await client.nextId(), 1000n);
    [first, replays] = [2000n, 2];
    assertEquals(await client.nextId(), 2000n);
    assertEquals(replays, 0);
  });

  it("refuses a key that is too short, or not random", () => {
    assertThrows(
      () => new IdClient({ key: KEY.subarray(1) }),
      RangeError,
      "a key has at least 32 bytes, and key has 31",
    );
    assertThrows(() => new IdClient({ key: new Uint8Array(32) }), RangeError, "a key is random bytes, and key has");
  });
});
