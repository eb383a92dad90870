import { assert, assertEquals, assertMatch } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { WIDE_LAYOUT } from "../../mod.ts";
import { killIfAlive, ServerProcess } from "../../testing/server_process.ts";
import { TempDir } from "../../testing/temp_dir.ts";
import { until } from "../../testing/within.ts";
import { Load, ReceivedIds } from "./load.ts";

const TWO_WORKERS = ["--workers", "2", "--layout", "wide"];

describe("a server with two workers", () => {
  it("gives 500,000 ids to 8 sockets at once, none twice, from both workers", async () => {
    await using server = await ServerProcess.start({ flags: [...TWO_WORKERS, "--node-id", "77"] });
    const beganMs = Date.now();
    const ids = new ReceivedIds();
    const enough = ids.more(500_000);
    await using load = await Load.start({ ids, ports: server.ports, socketsEach: 4 });
    await Promise.all([enough, server.allWorkersWork()]);
    await load.stop();
    ids.assertUnique();
    for (const id of ids.all) {
      assertEquals(WIDE_LAYOUT.unpack(id).nodeId, 77);
      const timeMs = WIDE_LAYOUT.timestampOf(id).getTime();
      assert(timeMs > beganMs - 1000 && timeMs <= Date.now(), `an id of ${new Date(timeMs)}`);
    }
    assertEquals(server.printed.match(/died/), null);
  });

  it("goes on when a worker is killed under load, and starts it again", async () => {
    await using server = await ServerProcess.start({ flags: TWO_WORKERS });
    const ids = new ReceivedIds();
    await using load = await Load.start({ ids, ports: server.ports, socketsEach: 4 });
    await Promise.all([ids.more(4000), server.allWorkersWork()]);
    for (let round = 0; round < 3; round++) {
      const before = await server.workerPids();
      assertEquals(before.length, 2);
      const victim = before[round % 2];
      const onlyOne = ids.more(1000);
      Deno.kill(victim, "SIGKILL");
      await onlyOne; // the other one goes on meanwhile
      await server.says(new RegExp(`worker . \\(process ${victim}\\) died: SIGKILL; starting it again in [0-9]+ ms`));
      await until("two workers", async () => (await server.workerPids()).length === 2);
      await Promise.all([ids.more(4000), server.allWorkersWork()]);
    }
    await load.stop();
    ids.assertUnique();
  });

  it("leaves no worker behind when it is killed itself, and the next one gives no id twice", async () => {
    const ids = new ReceivedIds();
    await using state = await TempDir.make();
    await using end = new AsyncDisposableStack();
    let server = end.use(await ServerProcess.start({ flags: TWO_WORKERS, state }));
    const [port] = server.ports;
    await using load = await Load.start({ ids, ports: [port], socketsEach: 4 });
    for (let round = 0; round < 4; round++) {
      // Started at once after the kill: workers of the one before may still be answering.
      if (round > 0) server = end.use(await ServerProcess.start({ flags: TWO_WORKERS, state, port }));
      await ids.more(20_000);
      server.kill("SIGKILL");
      await server.ended();
    }
    await server.workersEnded();
    await load.stop();
    ids.assertUnique();
  });

  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    it(`stops at ${signal}, under load, with exit code 0, and leaves no worker behind`, async () => {
      await using server = await ServerProcess.start({ flags: TWO_WORKERS });
      const ids = new ReceivedIds();
      const enough = ids.more(1000);
      await using load = await Load.start({ ids, ports: server.ports, socketsEach: 2 });
      await enough;
      server.kill(signal);
      assertEquals((await server.ended()).code, 0);
      assertEquals(await server.workerPids(), []);
      await load.stop();
    });
  }

  it("gives up on a worker that dies again and again, and says why", async () => {
    await using server = await ServerProcess.start({ flags: TWO_WORKERS });
    const [survivor] = await server.workerPids();
    const killing = setInterval(async () => {
      for (const pid of await server.workerPids()) if (pid !== survivor) killIfAlive(pid);
    }, 20);
    const { code } = await server.ended();
    clearInterval(killing);
    assertEquals(code, 1);
    assertMatch(
      server.printed,
      /worker . \(process [0-9]+\) died, as it did 5 times in the last 60 s: SIGKILL; not starting it again/,
    );
    assertEquals(await server.workerPids(), []);
  });

  it("keeps every socket answering while V8 collects often", async () => {
    // A memory that only the kernel knows of would soon be collected and used for something else.
    const env = { DENO_V8_FLAGS: "--gc-interval=500,--stress-compaction,--semi-space-growth-factor=2" };
    await using server = await ServerProcess.start({ flags: TWO_WORKERS, env });
    const ids = new ReceivedIds();
    for (let round = 0; round < 5; round++) {
      const enough = ids.more(10_000);
      await using load = await Load.start({ ids, ports: server.ports, socketsEach: 8 });
      await Promise.all([enough, server.allWorkersWork()]);
      await load.stop();
    }
    ids.assertUnique();
    assertEquals(server.printed.match(/died/), null);
  });
});
