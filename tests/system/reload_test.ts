import { assertEquals, assertRejects } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { IdClient, NoResponseError } from "../../client.ts";
import { TempDir } from "../../testing/temp_dir.ts";
import { keyOf } from "../access/keys.ts";
import { RecordedLoad } from "./recorded_load.ts";
import { assertNothingLost, FLAGS, LESS_LOAD, spawnNext, startServer, TIMES } from "./takeover.ts";

describe("a server that is reloaded", () => {
  it(`loses no request under load from 16 sockets, ${TIMES} times`, async () => {
    await using server = await startServer();
    await using load = await RecordedLoad.ask(server.ports[0], LESS_LOAD);
    await load.more(100);
    for (let time = 1; time <= TIMES; time++) {
      const before = await server.workerPids();
      server.kill("SIGUSR2");
      await server.says(new RegExp(`(the workers have been replaced[^]*){${time}}`));
      const after = await server.workerPids();
      assertEquals(after.length, 2);
      assertEquals(after.filter((pid) => before.includes(pid)), []);
      await load.more(100);
    }
    assertNothingLost(await load.stop());
  });

  it("needs the key of its key file: from the takeover that names the file on, and a new key from the next reload on", async () => {
    await using state = await TempDir.make();
    const keyFile = await writeKey(state, 1);
    await using server = await startServer({ state });
    const [port] = server.ports;
    await using next = await spawnNext(server, { flags: [...FLAGS, "--key-file", keyFile] });
    await next.says(/try it/);
    await needsKey(port, 1);
    await writeKey(state, 2);
    next.kill("SIGUSR2");
    await next.says(/the workers have been replaced/);
    await needsKey(port, 2);
    await Deno.remove(keyFile);
    next.kill("SIGUSR2");
    await next.says(/the workers go on as they are: --key-file: there is no file/);
    await needsKey(port, 2);
  });
});

async function writeKey(dir: TempDir, number: number): Promise<string> {
  const path = `${dir.path}/key`;
  await Deno.writeTextFile(path, keyOf(number).toHex() + "\n", { mode: 0o600 });
  return path;
}

/** Makes sure that this key opens the server, and neither another one nor none does. */
async function needsKey(port: number, number: number): Promise<void> {
  using client = new IdClient({ port, key: keyOf(number) });
  await client.nextId();
  for (const key of [{}, { key: keyOf(3 - number) }]) {
    using stranger = new IdClient({ port, ...key, retransmitMs: 20, timeoutMs: 100 });
    await assertRejects(() => stranger.nextId(), NoResponseError);
  }
}
