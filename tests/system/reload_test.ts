import { assertEquals, assertRejects } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { IdClient, NoResponseError } from "../../client.ts";
import { ServerProcess } from "../../testing/server_process.ts";
import { TempDir } from "../../testing/temp_dir.ts";
import { until, within } from "../../testing/within.ts";
import { keyOf } from "../access/keys.ts";
import { RecordedLoad } from "./recorded_load.ts";
import { assertNothingLost, FLAGS, LOAD, spawnNext, startServer, TIMES } from "./takeover.ts";

describe("a server that is reloaded", () => {
  it(`loses no request under load from 16 sockets, ${TIMES} times`, async () => {
    await using server = await startServer();
    await using load = await RecordedLoad.ask(server.ports[0], LOAD);
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

  it("changes its key under load, with no request unanswered or refused", async () => {
    await using state = await TempDir.make();
    const flags = [...FLAGS, "--key-file", await writeKey(state, 1)];
    await using server = await ServerProcess.start({ state, flags });
    const [port] = server.ports;
    await using load = new SignedLoad(port, 8);
    await load.more(500);

    await writeKey(state, 1, 2);
    await reload(server, 1);
    for (let client = 0; client < 8; client++) {
      load.keys[client] = 2;
      await load.more(100);
    }
    await writeKey(state, 2);
    await reload(server, 2);
    await load.more(500);
    const ids = await load.stop();
    assertEquals(new Set(ids).size, ids.length);
    await needsKey(port, 2);
  });
});

/** Clients that ask one request after the other, and wait for each answer for as long as the test runs. */
class SignedLoad implements AsyncDisposable {
  /** The number of each client's key. A client changes its key before its next request. */
  readonly keys: number[];
  readonly #ids: bigint[] = [];
  readonly #ended: Promise<unknown>;
  #isStopped = false;
  #error: unknown;

  private readonly port: number;

  constructor(port: number, clients: number) {
    this.port = port;
    this.keys = Array(clients).fill(1);
    this.#ended = Promise.all(this.keys.map((_, client) => this.#ask(client))).catch((error) => this.#error = error);
  }

  /** Waits until there are so many more ids. */
  async more(count: number): Promise<void> {
    const wanted = this.#ids.length + count;
    await until(`${count} more ids`, () => {
      if (this.#error !== undefined) throw this.#error;
      return this.#ids.length >= wanted;
    });
  }

  /** Ends the load, and returns all ids. */
  async stop(): Promise<bigint[]> {
    this.#isStopped = true;
    await within("all requests are answered", this.#ended);
    if (this.#error !== undefined) throw this.#error;
    return this.#ids;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  async #ask(client: number): Promise<void> {
    while (!this.#isStopped) {
      const number = this.keys[client];
      using asking = new IdClient({ port: this.port, key: keyOf(number), retransmitMs: 600_000, timeoutMs: 600_000 });
      while (!this.#isStopped && this.keys[client] === number) this.#ids.push(await asking.nextId());
    }
  }
}

/** Reloads a server for the nth time. */
async function reload(server: ServerProcess, time: number): Promise<void> {
  server.kill("SIGUSR2");
  await server.says(new RegExp(`(the workers have been replaced[^]*){${time}}`));
}

async function writeKey(dir: TempDir, ...numbers: number[]): Promise<string> {
  const path = `${dir.path}/key`;
  await Deno.writeTextFile(path, numbers.map((number) => `${keyOf(number).toHex()}\n`).join(""), { mode: 0o600 });
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
