import { assert, assertEquals, assertGreater, assertLess, assertMatch } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { DatabaseSync } from "node:sqlite";
import { IdClient } from "../../client.ts";
import { DEFAULT_LAYOUT } from "../../mod.ts";
import { readBasicResponse } from "../../lib/wire/response.ts";
import { denoCommand } from "../../testing/deno_process.ts";
import { TempDir } from "../../testing/temp_dir.ts";
import { until, within } from "../../testing/within.ts";
import { killIfAlive, ServerProcess } from "../../testing/server_process.ts";

/** For how long the store is out of reach. */
const OUTAGE_MS = 10_000;

/** How often a server is asked meanwhile. */
const INTERVAL_MS = 5;

const FLAGS = ["--workers", "2"];

/** Locks a database until its stdin ends. Its server may be writing: the lock is waited for. */
const LOCKER = `import { DatabaseSync } from "node:sqlite";
  const database = new DatabaseSync(Deno.args[0], { timeout: 30_000 });
  database.exec("BEGIN IMMEDIATE");
  console.log("locked");
  for await (const _ of Deno.stdin.readable);
  database.exec("ROLLBACK");
  database.close();`;

/** Writes to the disk, and waits each time until all is there. It ends when its directory is removed. */
const WRITER = `while dd if=/dev/zero of="$1/$$" bs=1M count=32 conv=fsync status=none; do :; done 2>/dev/null`;

/** What a server says whose store is locked. */
const LOCKED =
  /ticks cannot be reserved: the reservation store did not answer within 2000 ms; ids are there until 20.*Z/;

/** What takes a server's store away for a while. */
interface Outage extends AsyncDisposable {
  /** What the server says about it, if it has reason to say anything. */
  readonly saidOf?: RegExp;
}

/** The database is locked by another process; which may be stopped while it has the lock. */
async function lockStore({ path }: TempDir, { isStopped = false } = {}): Promise<Outage> {
  const child = denoCommand({
    deno: ["eval", LOCKER],
    args: [`${path}/reservations.sqlite`],
    stdin: "piped",
    stdout: "piped",
  }).spawn();
  let hasLock = false;
  for await (const _ of child.stdout) {
    hasLock = true;
    break;
  }
  assert(hasLock, "it has said that it has the lock");
  if (isStopped) child.kill("SIGSTOP");
  return {
    saidOf: LOCKED,
    [Symbol.asyncDispose]: async () => {
      if (isStopped) child.kill("SIGCONT");
      await child.stdin.close();
      await within("the lock is released", child.status);
    },
  };
}

/** Three processes write to the disk that the database is on, as fast as they can. */
async function writeToDisk({ path }: TempDir): Promise<Outage> {
  const dir = `${path}/busy`;
  await Deno.mkdir(dir);
  const spawn = () => new Deno.Command("sh", { args: ["-c", WRITER, "sh", dir], stdin: "null" }).spawn();
  const children = [spawn(), spawn(), spawn()];
  return {
    [Symbol.asyncDispose]: async () => {
      await Deno.rename(dir, `${dir}.over`);
      await Promise.all(children.map((child) => child.status));
    },
  };
}

/** Asks a server for an id at a time. */
class Asker implements Disposable {
  readonly #server: Deno.NetAddr;
  readonly #conn = Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port: 0 });

  constructor(server: ServerProcess) {
    this.#server = { transport: "udp", hostname: "127.0.0.1", port: server.ports[0] };
  }

  /** The tick of an id; `undefined` if there is none. */
  async tick(): Promise<number | undefined> {
    await this.#conn.send(Uint8Array.of(0), this.#server);
    const [reply] = await within("an answer", this.#conn.receive());
    const id = readBasicResponse(new DataView(reply.buffer, reply.byteOffset), reply.length);
    return id === undefined ? undefined : DEFAULT_LAYOUT.unpack(id).tick;
  }

  [Symbol.dispose]() {
    this.#conn.close();
  }
}

/** What is on record. */
function readMark({ path }: TempDir): number {
  using database = new DatabaseSync(`${path}/reservations.sqlite`, { readOnly: true });
  return (database.prepare("SELECT record ->> 'mark' AS mark FROM reservation").get() as { mark: number }).mark;
}

/**
 * Starts a server, and takes its store away in its first second; it has ids all the time, and all below the mark on
 * record.
 */
async function servesThrough(begin: (state: TempDir) => Promise<Outage>): Promise<void> {
  await using state = await TempDir.make();
  await using server = await ServerProcess.start({ flags: FLAGS, state });
  using asker = new Asker(server);
  const firstTick = await asker.tick();
  assert(firstTick !== undefined, "an id at once");
  let lastTick = firstTick;
  await using outage = await begin(state);
  const mark = outage.saidOf === undefined ? Infinity : readMark(state);
  for (const endMs = performance.now() + OUTAGE_MS; performance.now() < endMs;) {
    const tick = await asker.tick();
    assert(tick !== undefined, `no id in the second after ${(OUTAGE_MS - (endMs - performance.now())) / 1000} s`);
    assertLess(tick, mark, "an id that is not covered");
    lastTick = tick;
    await new Promise((resolve) => setTimeout(resolve, INTERVAL_MS));
  }
  assertGreater(lastTick, firstTick + OUTAGE_MS / 1000 - 2);
  if (outage.saidOf !== undefined) assertMatch(server.printed, outage.saidOf);
}

/**
 * While the store is locked, a server replaces its workers, starts one again that was killed, and ends when it is told
 * to.
 */
async function doesAllElse(): Promise<void> {
  await using state = await TempDir.make();
  await using server = await ServerProcess.start({ flags: FLAGS, state });
  using client = new IdClient({ port: server.ports[0] });
  await client.nextId();
  await using _outage = await lockStore(state);
  await server.says(LOCKED);

  server.kill("SIGUSR2");
  await server.says(/the workers have been replaced/);
  const [victim] = await server.workerPids();
  killIfAlive(victim);
  await server.says(new RegExp(`worker . \\(process ${victim}\\) died: SIGKILL`));
  await until("two workers", async () => (await server.workerPids()).length === 2);
  await client.nextId();
  assertEquals((await server.stop()).code, 0);
  assertEquals(await server.workerPids(), []);
}

describe("a server whose store does not answer for 10 s, from its first second on", () => {
  it("has ids all the time, and does all else that it is told to", async () => {
    await Promise.all([
      servesThrough((state) => lockStore(state)),
      servesThrough((state) => lockStore(state, { isStopped: true })),
      servesThrough(writeToDisk),
      doesAllElse(),
    ]);
  });
});
