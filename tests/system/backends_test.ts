import { assert, assertEquals, assertMatch } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { IdClient } from "../../client.ts";
import { WIDE_LAYOUT } from "../../mod.ts";
import { ConnectedSocket } from "../../lib/udp/connected_socket.ts";
import { writeBasicRequest } from "../../lib/wire/request.ts";
import { readBasicResponse } from "../../lib/wire/response.ts";
import { ServerProcess } from "../../testing/server_process.ts";
import { TempDir } from "../../testing/temp_dir.ts";
import { within } from "../../testing/within.ts";
import { ReceivedIds } from "./load.ts";

const TWO_WORKERS = ["--workers", "2", "--layout", "wide"];

/** Which of two workers an id of the wide layout is from, if each has a subnode. */
const workerOf = (id: bigint) => WIDE_LAYOUT.unpack(id).sequence % 2;

/** Asks a server once, and waits for the answer: the id, or `undefined` if there is none, or no answer for 30 s. */
function askOnce(hostname: string, port: number): bigint | undefined {
  const socket = new ConnectedSocket(hostname, port, 500);
  let id: bigint | undefined;
  socket.add(writeBasicRequest(socket.slot));
  socket.send();
  let looks = 60;
  while (looks-- > 0 && socket.receive((response, length) => id = readBasicResponse(response, length)) === 0);
  socket.close();
  return id;
}

describe("a server's backends", () => {
  it("listen-datagram: a port for every worker, and a client that asks them all", async () => {
    await using server = await ServerProcess.start({ flags: [...TWO_WORKERS, "--backend", "listen-datagram"] });
    assertEquals(server.ports.length, 2);
    using client = new IdClient({ port: server.ports });
    const ids = new ReceivedIds();
    for (let i = 0; i < 200; i++) ids.add(await client.nextId());
    ids.assertUnique();
    assertEquals(new Set([...ids.all].map(workerOf)), new Set([0, 1]));
  });

  it("listen-datagram: answers clients of any address and port, on a port that was chosen for it", async () => {
    const probe = Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port: 0 });
    const { port } = probe.addr as Deno.NetAddr;
    probe.close();
    await using server = await ServerProcess.start({
      flags: ["--workers", "1", "--backend", "listen-datagram", "--host", "0.0.0.0"],
      port,
    });
    for (const hostname of ["127.0.0.1", "127.0.0.2"]) {
      const conn = Deno.listenDatagram({ transport: "udp", hostname, port: 0 });
      await conn.send(Uint8Array.of(0), { transport: "udp", hostname: "127.0.0.1", port });
      await within("an answer", conn.receive());
      conn.close();
    }
    assertEquals(server.printed.match(/died/), null);
    assertMatch(server.printed, /bound to 0\.0\.0\.0, listen-datagram may answer from another address/);
  });

  it("reuseport: answers from the address that was asked", async () => {
    await using server = await ServerProcess.start({ flags: [...TWO_WORKERS, "--host", "0.0.0.0"] });
    assertEquals(server.printed.match(/another address/), null);
    for (const hostname of ["127.0.0.1", "127.0.0.2", "127.7.7.7"]) {
      assert(askOnce(hostname, server.ports[0]) !== undefined); // it hears nothing from another address
    }
  });

  for (const backend of ["reuseport", "listen-datagram"]) {
    it(`${backend}: has ids as soon as it says that it serves, and after a kill, too`, async () => {
      await using state = await TempDir.make();
      for (let round = 0; round < 2; round++) {
        await using server = await ServerProcess.start({ state, flags: ["--workers", "1", "--backend", backend] });
        assert(askOnce("127.0.0.1", server.ports[0]) !== undefined);
        server.kill("SIGKILL");
      }
    });

    it(`${backend}: serves several addresses`, async () => {
      const hostnames = ["127.0.0.2", "127.0.0.3", "::1"];
      const flags = ["--workers", "1", "--layout", "wide", "--backend", backend];
      await using server = await ServerProcess.start({
        flags: [...flags, ...hostnames.flatMap((hostname) => ["--host", hostname])],
      });
      assertMatch(server.printed, /node 0 on 127\.0\.0\.2, 127\.0\.0\.3, ::1 udp port .*: 3 workers/);
      const ids = new ReceivedIds();
      for (const [i, hostname] of hostnames.entries()) {
        using client = new IdClient({ hostname, port: server.ports[backend === "reuseport" ? 0 : i] });
        for (let taken = 0; taken < 50; taken++) ids.add(await client.nextId());
      }
      ids.assertUnique();
    });
  }

  it("serves and is asked over IPv6", async () => {
    await using server = await ServerProcess.start({ flags: [...TWO_WORKERS, "--host", "::1"] });
    assertMatch(server.printed, /try it: deno task id --host ::1 --port [0-9]+\n/);
    using client = new IdClient({ hostname: "::1", port: server.ports[0] });
    const ids = await Promise.all(Array.from({ length: 200 }, () => client.nextId()));
    assertEquals(new Set(ids).size, 200);
  });

  it("serves without FFI where that is not permitted, and says so", async () => {
    await using server = await ServerProcess.start({ flags: TWO_WORKERS, deno: ["-P=serve", "--deny-ffi"] });
    assertMatch(server.printed, /without the permission --allow-ffi, every worker has a port of its own/);
    assertMatch(server.printed, /2 workers \(listen-datagram/);
    using client = new IdClient({ port: server.ports });
    assertEquals((await client.nextIds(5)).length, 5);
  });

  it("serves without taskset, and says so", async () => {
    const PATH = Deno.execPath().replace(/[^/]*$/, "");
    await using server = await ServerProcess.start({ flags: TWO_WORKERS, env: { PATH } });
    assertMatch(server.printed, /the workers are not pinned to CPUs: there is no taskset \(util-linux\) here/);
    assertMatch(server.printed, /2 workers \(reuseport, not pinned\)/);
    using client = new IdClient({ port: server.ports[0] });
    assertEquals((await client.nextIds(5)).length, 5);
  });
});
