import { assert, assertEquals, assertLessOrEqual, assertMatch } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { poolPathOf } from "../../lib/node/pool_path.ts";
import { ServerProcess, type ServerProcessOptions } from "../../testing/server_process.ts";
import { TempDir } from "../../testing/temp_dir.ts";
import { until } from "../../testing/within.ts";
import { RecordedLoad } from "./recorded_load.ts";
import {
  assertNothingLost,
  firstWorkerWorks,
  FLAGS,
  LOAD,
  ownWorkers,
  spawnNext,
  startServer,
  TIMES,
} from "./takeover.ts";
import { twoCpus } from "./two_cpus.ts";

/** A port that somebody has to himself. */
class OtherPort implements Disposable {
  readonly #conn = Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port: 0 });

  get port(): number {
    return (this.#conn.addr as Deno.NetAddr).port;
  }

  [Symbol.dispose]() {
    this.#conn.close();
  }
}

/** The environment of a server whose second worker is not started before it is allowed to. */
class LateWorker {
  private readonly dir: TempDir;

  private constructor(dir: TempDir) {
    this.dir = dir;
  }

  static async make(dir: TempDir): Promise<LateWorker> {
    const [, second] = await twoCpus();
    const wait = 'until [ -e "$HERE/go" ]; do sleep 0.02; done; read -r go < "$HERE/go"; [ "$go" = start ] || exit 1';
    const lines = [
      "#!/bin/sh",
      `HERE="${dir.path}"`,
      `if [ "$2" = ${second} ]; then ${wait}; fi`,
      'PATH="${PATH#*:}" exec taskset "$@"',
    ];
    await Deno.writeTextFile(`${dir.path}/taskset`, lines.join("\n") + "\n", { mode: 0o755 });
    return new LateWorker(dir);
  }

  get env(): Record<string, string> {
    return { PATH: `${this.dir.path}:/usr/local/bin:/usr/bin:/bin` };
  }

  /** Lets it start, or end at once. */
  async let(what: "start" | "end"): Promise<void> {
    // In one piece, since it is looked for.
    await Deno.writeTextFile(`${this.dir.path}/go.new`, `${what}\n`);
    await Deno.rename(`${this.dir.path}/go.new`, `${this.dir.path}/go`);
  }
}

/** Changes the version that a node's pool says it is of. */
async function writeVersion(state: TempDir, version: string): Promise<void> {
  const offset = "global-id pool ".length;
  const script = `printf ${version} | dd of="$1" bs=1 seek=${offset} conv=notrunc status=none`;
  const { success } = await new Deno.Command("sh", { args: ["-c", script, "sh", poolPathOf(state.path, 0)] }).output();
  assert(success);
}

describe("a server that is replaced", () => {
  it(`loses no request under load from 16 sockets, ${TIMES} times`, async () => {
    await using state = await TempDir.make();
    let server = await startServer({ state });
    await using end = new AsyncDisposableStack();
    end.defer(async () => void await server.stop());
    await using load = await RecordedLoad.ask(server.ports[0], LOAD);
    await load.more(100);
    for (let time = 0; time < TIMES; time++) {
      const flags = ["--layout", "wide", "--workers", String(1 + time % 3)];
      const next = await spawnNext(server, { flags });
      const before = server;
      server = next;
      await next.says(/try it/);
      assertEquals((await before.ended()).code, 0);
      assertMatch(before.printed, /another server serves in place of this one/);
      assertEquals((await next.workerPids()).length, 1 + time % 3);
      await load.more(100);
    }
    assertNothingLost(await load.stop());
  });

  it("loses none when what was to replace it fails, and says why that was", async () => {
    await using server = await startServer();
    const { state, ports: [port] } = server;
    const workers = await server.workerPids();
    using other = new OtherPort();
    await using load = await RecordedLoad.ask(port, LOAD);
    const failing: [RegExp, ServerProcessOptions][] = [
      [/cannot be replaced: the pool is of layout v1 time=34 .*, and this is layout v1 time=37 /, { flags: [] }],
      [/--replace needs the backend reuseport/, { flags: [...FLAGS, "--backend", "listen-datagram"] }],
      [/worker [01] could not start: 192.0.2.1 is not an address/, { flags: [...FLAGS, "--host", "192.0.2.1"] }],
      [/worker [01] could not start: udp port [0-9]+ of 127.0.0.1 is taken/, { port: other.port }],
      [/there is no file .*nowhere/, { flags: [...FLAGS, "--key-file", `${state.path}/nowhere`] }],
    ];
    for (const [message, options] of failing) {
      await using next = await spawnNext(server, options);
      assertEquals((await next.ended()).code, 1, next.printed);
      assertMatch(next.printed, message);
      await load.more(100);
    }

    await writeVersion(state, "9");
    await using next = await spawnNext(server);
    assertEquals((await next.ended()).code, 1);
    assertMatch(next.printed, /cannot be replaced: the pool is of version 9, and this program knows 4/);
    await writeVersion(state, "4");

    await using first = await TempDir.make();
    const endsAtOnce = await LateWorker.make(first);
    await using failed = await spawnNext(server, { env: endsAtOnce.env });
    await firstWorkerWorks(failed, workers);
    await endsAtOnce.let("end");
    assertEquals((await failed.ended()).code, 1);
    assertMatch(failed.printed, /worker 1 could not start: exit code 1/);

    await using second = await TempDir.make();
    const startsLate = await LateWorker.make(second);
    await using stopped = await spawnNext(server, { env: startsLate.env });
    await firstWorkerWorks(stopped, workers);
    stopped.kill("SIGTERM");
    await startsLate.let("start");
    assertEquals((await stopped.ended()).code, 0);

    await load.more(1000);
    assertNothingLost(await load.stop());
    assertEquals(await server.workerPids(), workers);
    assertEquals(server.printed.match(/died/), null);
  });

  it("ends when it is replaced itself while it waits for the one before it to end", async () => {
    await using first = await startServer();
    const firstWorkers = await first.workerPids();
    first.kill("SIGSTOP"); // it keeps the lock, and does not notice that another one has taken over
    await using second = await spawnNext(first);
    const secondWorkers = await ownWorkers(second, firstWorkers);
    await until("the second has taken over", async () => (await second.workerPids()).length >= firstWorkers.length + 2);
    await using third = await spawnNext(first);
    await ownWorkers(third, [...firstWorkers, ...secondWorkers]);
    assertEquals((await second.ended()).code, 0, second.printed);
    assertMatch(second.printed, /another server serves in place of this one/);
    first.kill("SIGCONT");
    assertEquals((await first.ended()).code, 0, first.printed);
    await third.says(/try it/);
  });

  it("goes on when the next one is killed half-way", async () => {
    await using server = await startServer();
    await using load = await RecordedLoad.ask(server.ports[0], LOAD);
    const workers = await server.workerPids();
    // As soon as its first worker is there, and while that one gets a part of the requests.
    for (const isReady of [ownWorkers, firstWorkerWorks]) {
      await using directory = await TempDir.make();
      const late = await LateWorker.make(directory);
      await using next = await spawnNext(server, { env: late.env });
      await isReady(next, workers);
      next.kill("SIGKILL");
      await late.let("end");
      await next.ended();
      await until("its workers have ended", async () => (await server.workerPids()).length === workers.length);
    }
    await load.more(1000);
    const records = await load.stop();
    assertEquals(records.outOfOrder, 0);
    assertEquals(records.repeated, 0);
    assertEquals(records.refused, 0);
    // What the worker of the second one had in its queue when that was killed.
    assertLessOrEqual(records.unanswered, 2 * LOAD.socketsEach);
    assertEquals(await server.workerPids(), workers);
    await using next = await spawnNext(server);
    await next.says(/try it/);
    assertEquals((await server.ended()).code, 0);
  });

  it("ends when it is told to, and the next one says so", async () => {
    await using server = await startServer();
    const workers = await server.workerPids();
    await using next = await spawnNext(server);
    await ownWorkers(next, workers);
    next.kill("SIGSTOP");
    server.kill("SIGTERM");
    assertEquals((await server.ended()).code, 0);
    next.kill("SIGCONT");
    assertEquals((await next.ended()).code, 1);
    assertMatch(next.printed, /the server that was to be replaced has ended meanwhile: start this one again/);
  });

  it("may be killed meanwhile: the next one goes on in its place", async () => {
    await using server = await startServer();
    await using load = await RecordedLoad.ask(server.ports[0], LOAD);
    await load.more(100);
    const workers = await server.workerPids();
    await using next = await spawnNext(server);
    await ownWorkers(next, workers);
    next.kill("SIGSTOP");
    server.kill("SIGKILL");
    await server.ended();
    next.kill("SIGCONT");
    await next.says(/try it/);
    await load.more(1000);
    const records = await load.stop();
    assertEquals(records.outOfOrder, 0);
    assertEquals(records.repeated, 0);
    assertEquals(records.refused, 0);
    assertLessOrEqual(records.unanswered, 2 * LOAD.socketsEach);
  });

  it("must have a pool that others can find; if there is none, the next one just starts", async () => {
    await using state = await TempDir.make();
    const flags = ["--workers", "1"];
    await using first = await ServerProcess.start({ state, flags: [...flags, "--replace"] });
    assertEquals((await first.stop()).code, 0);
    await using second = await ServerProcess.start({ state, flags: [...flags, "--backend", "listen-datagram"] });
    const next = await spawnNext(second, { flags });
    assertEquals((await next.ended()).code, 1);
    assertMatch(next.printed, /the server that has the node cannot be replaced: /);
    assert(second.isRunning);
  });
});
