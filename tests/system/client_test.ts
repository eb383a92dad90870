import { assertEquals, assertMatch } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { IdClient } from "../../client.ts";
import { DEFAULT_LAYOUT } from "../../mod.ts";
import { runDeno } from "../../testing/deno_process.ts";
import { freePorts } from "../../testing/free_ports.ts";
import { ServerProcess } from "../../testing/server_process.ts";
import { ReceivedIds } from "./load.ts";

describe("a server and a client", () => {
  it("wait together until there are ids again", async () => {
    await using server = await ServerProcess.start({ flags: ["--workers", "2", "--node-id", "5"] });
    using client = new IdClient({ port: server.ports[0], prefetch: 1000 });
    const received = new ReceivedIds();
    // More than the layout has in a tick.
    for (const id of await client.nextIds(150_000)) received.add(id);
    for (let i = 0; i < 3000; i++) received.add(await client.nextId());
    received.assertUnique();
    for (const id of received.all) assertEquals(DEFAULT_LAYOUT.unpack(id).nodeId, 5);
  });

  it("speak on the command line", async () => {
    await using server = await ServerProcess.start({ flags: ["--node-id", "5"] });
    const id = (...args: (string | number)[]) =>
      runDeno({ deno: ["run", "--quiet", "-P=id"], program: "id_command.ts", args });
    const printed = await id("--port", server.ports[0], "--count", 3, "--form", "base32");
    assertEquals(printed.code, 0);
    const lines = printed.stdout.trim().split("\n");
    assertEquals(lines.length, 3);
    const inspected = await id("--inspect", lines[2]);
    assertMatch(inspected.stdout, /node id +5 /);
    const [silent] = freePorts(1);
    const found = await id("--servers", `127.0.0.1:${silent},127.0.0.1:${server.ports[0]}`, "--count", 20_000);
    assertEquals(new Set(found.stdout.trim().split("\n")).size, 20_000, found.stderr);
    await server.stop();
    const refused = await id("--port", server.ports[0]);
    assertEquals(refused.code, 1);
    assertMatch(
      refused.stderr,
      /global-id: no response from 127.0.0.1:[0-9]+ to [0-9]+ requests: is a server running there, does it let us in, and do key and cluster match\?/,
    );
  });
});
