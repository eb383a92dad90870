import { assertEquals, assertGreater, assertLessOrEqual, assertMatch, assertRejects } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { IdClient, NoResponseError } from "../../client.ts";
import { allowedCpus } from "../../lib/placement/cpus.ts";
import { poolPathOf } from "../../lib/node/pool_path.ts";
import { TempDir } from "../../testing/temp_dir.ts";
import { until } from "../../testing/within.ts";
import { isFull } from "../settings.ts";
import { RecordedLoad } from "./recorded_load.ts";
import type { RequestRecords } from "./request_records.ts";
import { cpuTicks, ServerProcess, type ServerProcessOptions } from "../../testing/server_process.ts";

/** How often in a row: each time, it is another moment of what the load does. */
const TIMES = isFull ? 20 : 6;

/** So many ids a tick that a tick has some left whenever it is asked. */
const FLAGS = ["--workers", "2", "--layout", "wide"];

/** From 16 sockets, as fast as they can. Where others use the CPUs too, an answer may take seconds. */
const LOAD = { socketsEach: 8, patienceMs: 5000, pauseMs: 0 };

/** The same, but so that there is time for servers that are started over and over, two at once. */
const LESS_LOAD = { ...LOAD, pauseMs: 1 };

/** Starts a server, and waits until it has ids. */
async function startServer(options: ServerProcessOptions = {}): Promise<ServerProcess> {
  const server = await ServerProcess.start({ flags: FLAGS, ...options });
  using client = new IdClient({ port: server.ports[0] });
  await client.nextId();
  return server;
}

/** Starts a server that is to take the place of another one. */
async function spawnNext(server: ServerProcess, options: ServerProcessOptions = {}): Promise<ServerProcess> {
  const { flags = FLAGS } = options;
  const [port] = server.ports;
  return await ServerProcess.spawn({ state: server.state, port, ...options, flags: [...flags, "--replace"] });
}

/** Waits until a further server, which is starting, has workers of its own, and returns their process ids. */
async function ownWorkers(server: ServerProcess, others: number[]): Promise<number[]> {
  let own: number[] = [];
  await until("it has a worker", async () => {
    own = (await server.workerPids()).filter((pid) => !others.includes(pid));
    return own.length > 0;
  });
  return own;
}

/** Waits until a further server, whose second worker is late, gets a part of the requests with its first one. */
async function firstWorkerWorks(server: ServerProcess, others: number[]): Promise<void> {
  const [first] = await ownWorkers(server, others);
  // More CPU time than it takes to start.
  await until("it has worked for 0.2 s", async () => await cpuTicks(first) >= 20);
}

function assertNothingLost(records: RequestRecords): void {
  assertGreater(records.successes, 1000);
  assertEquals(records.outOfOrder, 0, "requests that got an id not above all that had been received before");
  assertEquals(records.repeated, 0, "requests that got ids of others");
  assertEquals(records.unanswered, 0, "requests unanswered");
  assertEquals(records.refused, 0, "requests refused");
  assertEquals(records.short, 0, "requests that got fewer ids than they asked for");
}

async function reloadAgainAndAgain(): Promise<void> {
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
}

async function replaceAgainAndAgain(): Promise<void> {
  await using state = await TempDir.make();
  let server = await startServer({ state });
  await using end = new AsyncDisposableStack();
  end.defer(async () => void await server.stop());
  await using load = await RecordedLoad.ask(server.ports[0], LESS_LOAD);
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
}

describe("a server under load from 16 sockets", () => {
  it(`loses no request while it is reloaded ${TIMES} times, and another one replaced ${TIMES} times`, async () => {
    // At once, since each is mostly waiting for the old workers to end.
    await Promise.all([reloadAgainAndAgain(), replaceAgainAndAgain()]);
  });

  it("loses none when what was to replace it fails, and says why that was", async () => {
    await using server = await startServer();
    const { state, ports: [port] } = server;
    const workers = await server.workerPids();
    using other = new OtherPort();
    await using load = await RecordedLoad.ask(port, LOAD);
    const failing: [RegExp, ServerProcessOptions][] = [
      [/cannot be replaced: the pool is of layout 34\/20\/10 .*, and this is layout 37\/17\/10 /, { flags: [] }],
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

    await writeVersion(state, "2");
    await using next = await spawnNext(server);
    assertEquals((await next.ended()).code, 1);
    assertMatch(next.printed, /cannot be replaced: the pool is of version 2, and this program knows 1/);
    await writeVersion(state, "1");

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
});

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
  private constructor(private readonly dir: TempDir) {}

  static async make(dir: TempDir): Promise<LateWorker> {
    const [, second] = (await allowedCpus())!;
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
  assertEquals(success, true);
}

describe("a server that is replaced", () => {
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

  it("by one with a key file: from then on the key is needed", async () => {
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

  it("must have a pool that others can find; if there is none, the next one just starts", async () => {
    await using state = await TempDir.make();
    const flags = ["--workers", "1"];
    await using first = await ServerProcess.start({ state, flags: [...flags, "--replace"] });
    assertEquals((await first.stop()).code, 0);
    await using second = await ServerProcess.start({ state, flags: [...flags, "--backend", "listen-datagram"] });
    const next = await spawnNext(second, { flags });
    assertEquals((await next.ended()).code, 1);
    assertMatch(next.printed, /the server that has the node cannot be replaced: /);
    assertEquals(second.isRunning, true);
  });
});

async function writeKey(dir: TempDir, byte: number): Promise<string> {
  const path = `${dir.path}/key`;
  await Deno.writeTextFile(path, keyOf(byte).toHex() + "\n", { mode: 0o600 });
  return path;
}

function keyOf(byte: number): Uint8Array<ArrayBuffer> {
  return new Uint8Array(32).fill(byte);
}

/** Makes sure that this key opens the server, and neither another one nor none does. */
async function needsKey(port: number, byte: number): Promise<void> {
  using client = new IdClient({ port, key: keyOf(byte) });
  await client.nextId();
  for (const key of [{}, { key: keyOf(3 - byte) }]) {
    using stranger = new IdClient({ port, ...key, retransmitMs: 20, timeoutMs: 100 });
    await assertRejects(() => stranger.nextId(), NoResponseError);
  }
}
