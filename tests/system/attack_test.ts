import { assertEquals, assertMatch } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { IdClient } from "../../client.ts";
import { ServerProcess } from "../../testing/server_process.ts";

const ATTACK = /turned away/g;

/** Sends datagrams with this byte from 127.0.0.1 to all ports in turn. */
async function send(ports: number[], count: number, first = 0): Promise<void> {
  const conn = Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port: 0 });
  for (let i = 0; i < count; i++) {
    await conn.send(Uint8Array.of(first), { transport: "udp", hostname: "127.0.0.1", port: ports[i % ports.length] });
  }
  conn.close();
}

for (const backend of ["reuseport", "listen-datagram"]) {
  describe(`a server that is attacked, ${backend}`, () => {
    it("says once that datagrams are turned away, and once how many", async () => {
      await using server = await ServerProcess.start({
        flags: ["--workers", "2", "--backend", backend, "--allow", "127.0.0.2"],
      });
      for (let sent = 0; sent < 10_000; sent += 100) await send(server.ports, 100);
      await server.says(/datagrams are being turned away: [0-9,]+ from addresses that are not allowed.* in [12] s;/);
      await server.stop();
      const [, refused, overflowed = "0"] =
        /in [0-9]+ s, datagrams were turned away: ([0-9,]+) from addresses that are not allowed(?:, ([0-9,]+) dropped)?/
          .exec(server.printed) ?? [];
      assertMatch(refused, /^[0-9,]+$/, server.printed);
      const total = [refused, overflowed].map((text) => Number(text.replaceAll(",", ""))).reduce((a, b) => a + b);
      if (backend === "reuseport") assertEquals(total, 10_000);
      assertEquals(server.printed.match(ATTACK)?.length, 2);
    });

    it("says nothing of a stray datagram", async () => {
      await using server = await ServerProcess.start({ flags: ["--workers", "1", "--backend", backend] });
      await send(server.ports, 50, 0x7f);
      using client = new IdClient({ port: server.ports[0] });
      await client.nextId(); // is answered after all of them
      await server.stop();
      assertEquals(server.printed.match(ATTACK), null);
    });
  });
}
