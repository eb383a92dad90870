import { assert, assertEquals, assertLess, assertMatch, assertRejects } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { DatabaseSync } from "node:sqlite";
import { IdClient } from "../../client.ts";
import { DEFAULT_LAYOUT } from "../../mod.ts";
import { ServeError } from "../../lib/server/serve_error.ts";
import type { ServeOptions } from "../../lib/server/serve_options.ts";
import { TempDir } from "../../testing/temp_dir.ts";
import { until, within } from "../../testing/within.ts";
import { itSideBySide, type TestCase } from "../side_by_side.ts";
import { Supervised } from "./supervised.ts";

/** The reason that is logged for a worker that was killed, as a part of a regular expression. */
const KILLED = "it was killed, since it said ";

async function nextId(port: number): Promise<bigint> {
  using client = new IdClient({ port });
  return await client.nextId();
}

/** The mark on record. */
function markIn(temp: TempDir): number {
  using database = new DatabaseSync(`${temp.path}/state/reservations.sqlite`, { readOnly: true });
  return (database.prepare("SELECT record ->> 'mark' AS mark FROM reservation").get() as { mark: number }).mark;
}

const nowTick = () => Math.floor((Date.now() - DEFAULT_LAYOUT.epochMs) / DEFAULT_LAYOUT.tickMs);

/** The memory that this process has in its own hands, in MiB. */
const memoryMiB = () => Deno.memoryUsage().rss / 2 ** 20;

const LISTEN_DATAGRAM: Partial<ServeOptions> = { backend: "listen-datagram" };
const FALSE_TICK = '{"type":"report","usedTick":100000000000}\n';

/** What worker 1 says once it serves, and how the log names it. */
const LIES: Record<string, { lie: Record<string, string>; reason: string }> = {
  "is no JSON": { lie: { text: "no \x1b[31mJSON\n" }, reason: 'a line that is no message: "no \\\\u001b\\[31mJSON"' },
  "is null": { lie: { text: "null\n" }, reason: 'a line that is no message: "null"' },
  "is of no kind": { lie: { text: '{"type":"rest"}\n' }, reason: "a line that is no message: " },
  "is a pong that nobody asked for": { lie: { text: '{"type":"pong"}\n' }, reason: '"pong" without a ping' },
  "is out of turn": { lie: { text: '{"type":"hello"}\n' }, reason: '"hello" out of turn' },
  "is a port, again": { lie: { text: '{"type":"ready","port":1}\n' }, reason: "port 1, where it was told [0-9]+" },
  "is a tick past the layout": {
    lie: { text: '{"type":"report","usedTick":1e15}\n' },
    reason: "tick 1000000000000000 ",
  },
};

/** Starts a server whose worker 1 lies once it serves, and waits until that one has been replaced. */
async function isReplaced(lie: Record<string, string>, reason: string): Promise<void> {
  await using temp = await TempDir.make();
  await using server = await Supervised.start(temp, { when: "ready", ...lie });
  const line = await server.says(/died/);
  assertMatch(line, new RegExp(`worker 1 \\(process [0-9]+\\) died: ${KILLED}${reason}.*starting it again in`));
  assert(!server.lines.some((line) => /worker 0/.test(line)));
  await nextId(server.ports[0]);
}

describe("a worker that lies", () => {
  itSideBySide(
    Object.entries(LIES).map(([what, { lie, reason }]): TestCase => [
      `is killed and replaced when what it says ${what}, and the others go on`,
      () => isReplaced(lie, reason),
    ]),
    Object.keys(LIES).length,
  );

  it("costs the supervisor no memory with a line that does not end", async () => {
    const before = memoryMiB();
    await isReplaced({ times: String(2 ** 28) }, "a line of more than 65536 characters");
    assertLess(memoryMiB() - before, 128); // of 256 MiB that the worker writes
  });

  it("does not move the mark, with --clock logical either", async () => {
    for (const backend of ["listen-datagram", "reuseport"] as const) {
      await using temp = await TempDir.make();
      const options: Partial<ServeOptions> = { backend, clockPolicy: "logical" };
      const server = await Supervised.start(temp, { when: "ready", text: FALSE_TICK }, options);
      // With a pool, what a worker says of ticks counts for nothing, so none dies of this.
      if (backend === "listen-datagram") await server.says(/died: .*tick 100000000000 as its last one, which must be/);
      await nextId(server.ports[0]);
      await server.stop();
      assertLess(markIn(temp) - nowTick(), 60);
    }
  });

  it("keeps the server from giving ticks back that it may have used", async () => {
    await using temp = await TempDir.make();
    const text = '{"type":"ended","usedTick":5}\n';
    const server = await Supervised.start(temp, { when: "stop", text }, LISTEN_DATAGRAM);
    await server.stop();
    assert(markIn(temp) > nowTick() + 1, "the mark stays ahead of the clock");
  });

  it("cannot start the server", async () => {
    await using temp = await TempDir.make();
    const server = Supervised.spawn(temp, { when: "start", text: "null\n" });
    await assertRejects(() => within("it ends", server.ended), ServeError, `worker 1 could not start: ${KILLED}a line`);
  });

  it("is killed, and its successor serves, when it lies as it is replaced", async () => {
    await using temp = await TempDir.make();
    await using server = await Supervised.start(temp, { when: "drain", text: "null\n" }, { backend: "reuseport" });
    server.reload();
    await server.says(/the workers have been replaced/);
    await server.says(new RegExp(`worker 1 \\(process [0-9]+\\), which was replaced: ${KILLED}`));
    await nextId(server.ports[0]);
  });

  it("prints nothing but by way of the log", async () => {
    await using temp = await TempDir.make();
    await using server = await Supervised.start(temp, { when: "ready", print: "\x1b[2J all is well" });
    const line = await server.says(/all is well/);
    assertMatch(line, /^worker 1 \(process [0-9]+\) says: .*all is well$/);
  });

  it("fills no log: what it says too much of is counted", async () => {
    await using temp = await TempDir.make();
    await using server = await Supervised.start(temp, { when: "ready", lines: "20000" });
    const [, pid] = /process ([0-9]+)\) died: exit code 7/.exec(await server.says(/died/)) ?? [];
    const of = (pattern: RegExp) =>
      server.lines.filter((line) => line.includes(`(process ${pid}) says`) && pattern.test(line));
    const said = () => of(/all is well$/).length;
    const omitted = () =>
      of(/which are left out$/).reduce((sum, line) => sum + Number(/([0-9]+) lines more/.exec(line)?.[1]), 0);
    await until("all is accounted for", () => said() + omitted() === 20_000);
    assertLess(said(), 200); // as long as it says all that within a hundred seconds
  });

  it("is killed when it closes its end of the channel, and goes on", async () => {
    await using temp = await TempDir.make();
    await using server = await Supervised.start(temp, { when: "ready", close: "1" });
    assertMatch(await server.says(/died/), /worker 1 \(process [0-9]+\) died: SIGKILL/);
  });

  it("is not waited for when a process that it leaves behind holds its end open", async () => {
    await using temp = await TempDir.make();
    const server = Supervised.spawn(temp, { when: "start", leave: "1" }, { backend: "reuseport" });
    await assertRejects(() => within("it ends", server.ended), ServeError, "worker 1 could not start: exit code 7");
  });
});

/** What worker 1 writes to the pool's memory. */
const SPOILS: Record<string, string> = {
  "a mark of thousands of years": "mark,1e11",
  "a mark that is none": "mark,NaN",
  "the mark of a closed pool": "mark,0",
  "a tick of thousands of years": "tickA,1e11",
};

/**
 * Starts a server whose worker 1 spoils the pool, waits until the server has noticed, and then starts another one on
 * the same state.
 */
async function endsForGood(spoil: string): Promise<void> {
  await using temp = await TempDir.make();
  const options: Partial<ServeOptions> = { backend: "reuseport", clockPolicy: "logical" };
  const server = await Supervised.start(temp, { when: "ready", spoil }, options);
  await assertRejects(() => within("it ends", server.ended), ServeError, "the pool ");
  assertLess(markIn(temp) - nowTick(), 60);
  const mark = markIn(temp);

  await using next = await Supervised.start(temp, { when: "never" }, options);
  assertMatch(next.lines.join("\n"), /ids begin where the last reservation ends: the pool is damaged/);
  assert(DEFAULT_LAYOUT.unpack(await nextId(next.ports[0])).tick >= mark);
}

describe("a worker that writes to the pool what a sound one does not", () => {
  itSideBySide(
    Object.entries(SPOILS).map(([what, spoil]): TestCase => [
      `ends the server, and the next one has ids that are nobody's: ${what}`,
      () => endsForGood(spoil),
    ]),
    Object.keys(SPOILS).length,
  );

  it("cannot have another process take the node's ticks back by naming another owner", async () => {
    await using temp = await TempDir.make();
    const server = await Supervised.start(temp, { when: "ready", spoil: "owner,7" }, { backend: "reuseport" });
    await within("the server ends", server.ended);
    assertMatch(server.lines.join("\n"), /another server serves in place of this one/);
    assert(markIn(temp) > nowTick() + 1, "the mark stays ahead of the clock");
  });
});

describe("a supervisor", () => {
  it("gives everything back when its workers tell the truth", async () => {
    await using temp = await TempDir.make();
    const server = await Supervised.start(temp, { when: "never" }, LISTEN_DATAGRAM);
    await nextId(server.ports[0]);
    await server.stop();
    assert(markIn(temp) <= nowTick() + 1);
    assertEquals(server.lines.filter((line) => /died|killed/.test(line)), []);
  });
});
