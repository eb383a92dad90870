import { assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { IdClient } from "../../client.ts";
import { DEFAULT_LAYOUT } from "../../mod.ts";
import { NodeServer } from "./node_server.ts";

/** A client that retransmits nothing within a test: a call that the other server does not save never ends. */
const PATIENT = { retransmitMs: 60_000, timeoutMs: 120_000 };

describe("IdClient with two servers, one of which freezes", () => {
  it("goes on to the other at once, and stays there", async () => {
    await using first = await NodeServer.start(1);
    await using second = await NodeServer.start(2);
    using client = new IdClient({ servers: [first, second].map(({ port }) => `127.0.0.1:${port}`), ...PATIENT });
    const nodeOf = async () => DEFAULT_LAYOUT.unpack(await client.nextId()).nodeId;
    for (let i = 0; i < 100; i++) await nodeOf();
    const [kept, other] = await nodeOf() === 1 ? [first, second] : [second, first];
    await kept.signal("SIGSTOP");
    for (let i = 0; i < 500; i++) assertEquals(await nodeOf(), other.nodeId);
    await kept.signal("SIGCONT");
  });
});
