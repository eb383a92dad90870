import { assert, assertEquals, assertMatch } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { type DenoOutput, runDeno } from "../../testing/deno_process.ts";
import { ServerProcess } from "../../testing/server_process.ts";
import { isFull } from "../settings.ts";

function nodes(...args: string[]): Promise<DenoOutput> {
  return runDeno({ deno: ["run", "--quiet", "--no-prompt", "-P=nodes"], program: "nodes_command.ts", args });
}

describe("the command nodes", () => {
  it("shows a running server, and does not free its node", async () => {
    await using server = await ServerProcess.start({ flags: ["--workers", "1", "--node-id", "5"] });
    const { path } = server.state;
    const listed = await nodes("--state", path, "--json");
    assertEquals(listed.code, 0, listed.stderr);
    const [{ nodeId, state, info }] = JSON.parse(listed.stdout);
    assertEquals([nodeId, state], [5, "alive"]);
    const refused = await nodes("--state", path, "--free", "5");
    assertEquals([refused.code, refused.stdout], [1, ""]);
    assertMatch(refused.stderr, /^global-id: node 5 is held by .*, which is alive/);
    assert(refused.stderr.includes(`since ${info.since}`), refused.stderr);
  });

  // It takes 6 s to find out that a server is gone, twice.
  (isFull ? it : it.skip)("shows that a server is gone, and frees its node", async () => {
    await using server = await ServerProcess.start({ flags: ["--workers", "1", "--node-id", "5"] });
    const { path } = server.state;
    server.kill("SIGKILL");
    await server.workersEnded();
    assertMatch((await nodes("--state", path)).stdout, /\n5 +silent .*\non record: 1 silent\n$/);
    const freed = await nodes("--state", path, "--free", "5");
    assertEquals(freed.code, 0, freed.stderr);
    assertMatch(freed.stdout, /^node 5 is free now: it was held by .*, which is gone\n$/);
    assertMatch((await nodes("--state", path)).stdout, /\n5 +free /);
    assertMatch((await nodes("--state", path, "--free", "5")).stdout, /^node 5 is free: nobody holds it\n$/);
  });
});
