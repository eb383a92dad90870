import { assert, assertEquals, assertMatch, assertNotMatch, assertRejects } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { IdClient, NoResponseError } from "../../client.ts";
import { DEFAULT_LAYOUT } from "../../mod.ts";
import { Mac } from "../../lib/access/mac.ts";
import { RANGE_BYTES, SIGNED_BYTES } from "../../lib/wire/protocol.ts";
import { writeRangeRequest } from "../../lib/wire/request.ts";
import { type RangeResponse, readRangeResponse } from "../../lib/wire/response.ts";
import { runDeno } from "../../testing/deno_process.ts";
import { TempDir } from "../../testing/temp_dir.ts";
import { within } from "../../testing/within.ts";
import { ServerProcess } from "../../testing/server_process.ts";
import { keyOf } from "../access/keys.ts";
import { hex } from "../wire/bytes.ts";

const KEY = keyOf(9);

/** For asking a server that is not to answer. */
const IMPATIENT = { retransmitMs: 20, timeoutMs: 200 };

/** Asks from an address of one's choice: all of 127.0.0.0/8 is this machine. */
class Source implements Disposable {
  readonly #conn: Deno.DatagramConn;

  private readonly port: number;

  constructor(hostname: string, port: number) {
    this.port = port;
    this.#conn = Deno.listenDatagram({ transport: "udp", hostname, port: 0 });
  }

  async ask(count: number): Promise<RangeResponse> {
    const request = new Uint8Array(RANGE_BYTES);
    writeRangeRequest(new DataView(request.buffer), count, 0, 0);
    await this.#conn.send(request, { transport: "udp", hostname: "127.0.0.1", port: this.port });
    const [response] = await within("a response", this.#conn.receive());
    const range = readRangeResponse(new DataView(response.buffer), response.length);
    assert(range !== undefined, "a response to a request for a range");
    return range;
  }

  /** Asks until ids are granted: those of a tick may all be taken. */
  async granted(count: number): Promise<RangeResponse> {
    while (true) {
      const response = await this.ask(count);
      if (response.status === 0) return response;
      await new Promise((resolve) => setTimeout(resolve, response.retryAfterMs));
    }
  }

  [Symbol.dispose]() {
    this.#conn.close();
  }
}

function signedRequest(tag: number, cluster: string): Uint8Array<ArrayBuffer> {
  const request = new Uint8Array(SIGNED_BYTES);
  const view = new DataView(request.buffer);
  writeRangeRequest(view, 1, 0, tag);
  const [high, low] = crypto.getRandomValues(new Uint32Array(2));
  new Mac(KEY, cluster).signRequest(view, Date.now(), high, low);
  return request;
}

async function writeKey(dir: TempDir, mode = 0o600): Promise<string> {
  const path = `${dir.path}/key`;
  await Deno.writeTextFile(path, KEY.toHex() + "\n", { mode });
  return path;
}

for (const backend of ["reuseport", "listen-datagram"]) {
  const flags = ["--workers", "1", "--backend", backend];

  describe(`access to a server, ${backend}`, () => {
    it("--allow answers only the addresses that it names", async () => {
      await using server = await ServerProcess.start({
        flags: [...flags, "--allow", "127.0.0.2", "--allow", "127.0.1.0/24"],
      });
      const [port] = server.ports;
      using stranger = new IdClient({ port, ...IMPATIENT });
      await assertRejects(() => stranger.nextId(), NoResponseError, "does it let us in, and do key and cluster match?");
      for (const hostname of ["127.0.0.2", "127.0.1.77"]) {
        using source = new Source(hostname, port);
        await source.granted(5);
      }
    });

    it("--key-file answers only those who have the key, and they believe nobody else", async () => {
      await using state = await TempDir.make();
      const keyFile = await writeKey(state);
      await using server = await ServerProcess.start({ state, flags: [...flags, "--key-file", keyFile] });
      const [port] = server.ports;
      for (const key of [{}, { key: keyOf(10) }]) {
        using stranger = new IdClient({ port, ...key, ...IMPATIENT });
        await assertRejects(() => stranger.nextId(), NoResponseError);
      }
      using client = new IdClient({ port, key: KEY });
      const ids = await Promise.all(Array.from({ length: 500 }, () => client.nextId()));
      assertEquals(new Set(ids).size, 500);
    });

    it("a request takes no more than 1/16 of a tick, and a client gets all the ids that it asks for", async () => {
      await using server = await ServerProcess.start({ flags });
      const [port] = server.ports;
      using source = new Source("127.0.0.2", port);
      assertEquals((await source.granted(2 ** 32 - 1)).granted, 131_072 / 16);
      using client = new IdClient({ port });
      assertEquals(new Set(await client.nextIds(100_000)).size, 100_000);
    });

    it("--max-count lets a request have as many as it says", async () => {
      await using server = await ServerProcess.start({ flags: [...flags, "--max-count", "7"] });
      using source = new Source("127.0.0.2", server.ports[0]);
      assertEquals((await source.granted(100)).granted, 7);
      using client = new IdClient({ port: server.ports[0], prefetch: 50 });
      assertEquals(new Set(await client.nextIds(100)).size, 100);
      const ids = await Promise.all(Array.from({ length: 100 }, () => client.nextId()));
      assertEquals(new Set(ids).size, 100);
    });

    it("--source-share leaves ids for others when one source asks for all of them", async () => {
      await using server = await ServerProcess.start({ flags: [...flags, "--source-share", "25"] });
      using greedy = new Source("127.0.0.2", server.ports[0]);
      using modest = new Source("127.0.0.3", server.ports[0]);
      const ofTick = new Map<number, number>();
      let refusals = 0;
      await modest.granted(1);
      while (refusals < 100) {
        const { first, granted, status, retryAfterMs } = await greedy.ask(2 ** 32 - 1);
        if (status !== 0) {
          refusals++;
          assertEquals(status, 1);
          assert(retryAfterMs >= 1 && retryAfterMs <= 1000);
          await modest.granted(1);
        } else {
          const { tick } = DEFAULT_LAYOUT.unpack(first);
          ofTick.set(tick, (ofTick.get(tick) ?? 0) + granted);
        }
      }
      for (const granted of ofTick.values()) assert(granted <= 131_072 / 4, `${granted} of a tick`);
      assertEquals(Math.max(...ofTick.values()), 131_072 / 4);
    });
  });
}

describe("access to servers with one key and one node id, but different clusters", () => {
  it("lets one request have one answer", async () => {
    const clusters = ["orders", "orders-test"];
    await using servers = new AsyncDisposableStack();
    const ports: number[] = [];
    for (const cluster of clusters) {
      const state = servers.use(await TempDir.make());
      const flags = ["--workers", "1", "--key-file", await writeKey(state), "--cluster", cluster];
      const [port] = servers.use(await ServerProcess.start({ state, flags })).ports;
      ports.push(port);
      // The client gets its id when the server has ids, and knows which requests are new.
      using client = new IdClient({ port, key: KEY, cluster });
      await client.nextId();
    }
    const socket = Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port: 0 });
    servers.defer(() => socket.close());
    const answeredBy = async (port: number, requests: Uint8Array<ArrayBuffer>[]) => {
      for (const request of requests) await socket.send(request, { transport: "udp", hostname: "127.0.0.1", port });
      const [response] = await within("a response", socket.receive());
      return requests.findIndex((request) => hex(request.subarray(8, 16)) === hex(response.subarray(8, 16)));
    };
    // A worker answers its socket's requests in turn: who answers the last one only has passed over the first.
    const captured = signedRequest(1, clusters[0]);
    assertEquals(await answeredBy(ports[1], [captured, signedRequest(2, clusters[1])]), 1);
    assertEquals(await answeredBy(ports[0], [captured]), 0);
  });
});

describe("access, what the server says of it", () => {
  it("warns if every client that reaches it gets ids", async () => {
    const warning = /every client that reaches 0\.0\.0\.0 gets ids: .*--allow.*--key-file/;
    await using open = await ServerProcess.start({ flags: ["--workers", "1", "--host", "0.0.0.0"] });
    assertMatch(open.printed, warning);
    await using guarded = await ServerProcess.start({
      flags: ["--workers", "1", "--host", "0.0.0.0", "--allow", "127.0.0.0/8"],
    });
    assertNotMatch(guarded.printed, warning);
  });

  it("says with a key, once, that the cluster has the name that all have by default", async () => {
    const warning = /the cluster has the default name, global-id: all servers with this key .*--cluster NAME/g;
    await using state = await TempDir.make();
    const keyed = ["--workers", "1", "--key-file", await writeKey(state)];
    for (
      const [flags, times] of [[keyed, 1], [[...keyed, "--cluster", "orders"], 0], [["--workers", "1"], 0]] as const
    ) {
      await using server = await ServerProcess.start({ state, flags: [...flags] });
      if (times > 0) {
        server.kill("SIGUSR2");
        await server.says(/the workers have been replaced/);
      }
      assertEquals([...server.printed.matchAll(warning)].length, times, server.printed);
      await server.stop();
    }
  });

  it("says what is wrong with a key file", async () => {
    await using state = await TempDir.make();
    await Deno.writeTextFile(`${state.path}/words`, "correct horse battery staple", { mode: 0o600 });
    const open = await writeKey(state, 0o644);
    const wrong: [string, RegExp][] = [
      [
        `${state.path}/words`,
        /a key is one line of hexadecimal digits or base64, and .*words is something else: make one with/,
      ],
      [open, /other users may have read the key in .* \(its mode is 644\): chmod o=/],
      [`${state.path}/none`, /there is no file .*none; make one with/],
      ["/etc/hostname", /needs the permission --allow-read=\/etc\/hostname/],
    ];
    for (const [path, message] of wrong) {
      await using server = await ServerProcess.spawn({ state, flags: ["--key-file", path] });
      assertEquals((await server.ended()).code, 1);
      assertMatch(server.printed, message);
    }
  });

  it("deno task id signs with --key-file", async () => {
    await using state = await TempDir.make();
    const keyFile = await writeKey(state);
    await using server = await ServerProcess.start({ state, flags: ["--workers", "1", "--key-file", keyFile] });
    assertMatch(server.printed, /try it: deno task id --port [0-9]+ --key-file .*key\n/);
    const { code, stdout } = await runDeno({
      deno: ["run", "--quiet", "-P=id", `--allow-read=${state.path}`],
      program: "id_command.ts",
      args: ["--port", server.ports[0], "--key-file", keyFile, "--count", 3],
    });
    assertEquals([code, stdout.trim().split("\n").length], [0, 3]);
  });
});
