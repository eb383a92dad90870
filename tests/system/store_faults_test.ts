import { assert, assertEquals, assertMatch } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { DatabaseSync } from "node:sqlite";
import { IdClient, UnavailableError } from "../../client.ts";
import { DEFAULT_LAYOUT } from "../../mod.ts";
import { TempDir } from "../../testing/temp_dir.ts";
import { until } from "../../testing/within.ts";
import { ServerProcess } from "../../testing/server_process.ts";

/** A client that does not wait for a server that has no ids, and so tells what the server says. */
const impatient = (server: ServerProcess) => new IdClient({ port: server.ports[0], timeoutMs: 50 });

/** The mark on record, and the latest tick of the ids that a server gives. */
async function tickOf(client: IdClient): Promise<number> {
  return DEFAULT_LAYOUT.unpack(await client.nextId()).tick;
}

function markIn(path: string): number {
  const database = new DatabaseSync(path, { readOnly: true });
  const { mark } = database.prepare("SELECT record ->> 'mark' AS mark FROM reservation").get() as { mark: number };
  database.close();
  return mark;
}

/** Asks until the server says that it is not serving; every id until then must lie below the mark. */
async function runsDry(client: IdClient, path: string): Promise<void> {
  const mark = markIn(path);
  await until("the server has run dry", async () => {
    try {
      assert(await tickOf(client) < mark, "an id that is not covered");
      return false;
    } catch (error) {
      return error instanceof UnavailableError && error.reason === "not-serving";
    }
  });
}

async function servesAgain(client: IdClient): Promise<void> {
  await until("there are ids again", () => client.nextId().then(() => true, () => false));
}

/**
 * This backend reserves 3 s ahead, and not for longer than anybody would want to wait here. The other one: see
 * store_outage_test.ts.
 */
const FLAGS = ["--workers", "1", "--backend", "listen-datagram"];

describe("a server whose store fails", () => {
  it("goes on as far as it has reserved, says so, and goes on again when the store is back", async () => {
    await using server = await ServerProcess.start({ flags: FLAGS });
    const path = `${server.state.path}/reservations.sqlite`;
    using client = impatient(server);
    await servesAgain(client);

    const blocker = new DatabaseSync(path, { timeout: 30_000 }); // the server may be writing
    blocker.exec("BEGIN IMMEDIATE");
    await server.says(
      /ticks cannot be reserved: the reservation store did not answer within 2000 ms; ids are there until 20.*Z, and again when the store is back/,
    );
    await runsDry(client, path);
    blocker.exec("ROLLBACK");
    blocker.close();
    await server.says(/the reservation store is back/);
    await servesAgain(client);
    assert(await tickOf(client) < markIn(path));
  });

  it("does the same when the disk is full", async () => {
    await using temp = await TempDir.make();
    const size = "size=300k,mode=700";
    const mounted = await new Deno.Command("mount", { args: ["-t", "tmpfs", "-o", size, "tmpfs", temp.path] }).output();
    if (!mounted.success) {
      return console.warn(
        "store_faults_test: left out, since a full disk is one that is mounted for it, which needs root",
      );
    }
    try {
      const server = await ServerProcess.start({ flags: FLAGS, state: temp });
      const path = `${temp.path}/reservations.sqlite`;
      using client = impatient(server);
      await servesAgain(client);
      fillUp(`${temp.path}/filler`);
      await server.says(/ticks cannot be reserved: .*full/);
      await runsDry(client, path);
      await Deno.remove(`${temp.path}/filler`);
      await server.says(/the reservation store is back/);
      await servesAgain(client);
      assertEquals((await server.stop()).code, 0);
      await server.workersEnded();
    } finally {
      await new Deno.Command("umount", { args: ["--lazy", temp.path] }).output();
    }
  });

  it("does not start on a store that is damaged, or of another layout, and says which one", async () => {
    await using state = await TempDir.make();
    const path = `${state.path}/reservations.sqlite`;
    const first = await ServerProcess.start({ flags: ["--workers", "1"], state });
    await first.stop();
    await first.workersEnded();

    const other = await ServerProcess.spawn({ flags: ["--layout", "wide"], state });
    assertEquals((await other.ended()).code, 1);
    assertMatch(
      other.printed,
      /node 0 is on record with the layout v1 time=37 sequence=17 node=10 .*, and was asked for with v1 time=34 sequence=20 node=10 /,
    );

    await Deno.writeTextFile(path, "this was a database once. ".repeat(1000));
    const damaged = await ServerProcess.spawn({ state });
    assertEquals((await damaged.ended()).code, 1);
    assertMatch(
      damaged.printed,
      /global-id: the reservation store .*reservations.sqlite cannot be used: file is not a database/,
    );
  });
});

/** Writes a file until there is no room left. */
function fillUp(path: string): void {
  using file = Deno.openSync(path, { write: true, create: true });
  const block = new Uint8Array(1024);
  try {
    while (file.writeSync(block) > 0);
  } catch {
    // There is none.
  }
}
