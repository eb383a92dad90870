import { assert, assertEquals, assertRejects } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { openLibc } from "../../lib/libc/libc.ts";
import { ServeError } from "../../lib/server/serve_error.ts";
import { openStore } from "../../lib/server/open_store.ts";
import { openLock, openStateDir } from "../../lib/server/state_dir.ts";
import { TempDir } from "../../testing/temp_dir.ts";

/** The user `nobody`, or any other than the one that runs the tests. */
const OTHER_USER = 65_534;

const isRoot = openLibc().geteuid() === 0;
if (!isRoot) console.warn("state_dir_test (server): left out, since what belongs to another user needs root");
const itAsRoot = isRoot ? it : it.skip;

function permissionsOf(path: string): string {
  return ((Deno.lstatSync(path).mode ?? 0) & 0o7777).toString(8);
}

async function link(target: string, path: string): Promise<void> {
  const { success } = await new Deno.Command("ln", { args: ["-s", target, path] }).output();
  assert(success);
}

/** Opens all of a state directory as a server does, closes it, and returns what was logged. */
async function openAll(path: string): Promise<string[]> {
  const lines: string[] = [];
  const log = { info: (line: string) => void lines.push(line), warn: (line: string) => void lines.push(line) };
  const stateDir = await openStateDir(path);
  using _lock = await openLock(stateDir, 7, log);
  await using store = await openStore(undefined, stateDir, log);
  await store.read(7);
  return lines;
}

const FILES = ["node-7.lock", "node-7.workers.lock", "reservations.sqlite"];

describe("the state directory", () => {
  it("is made for this user alone, with all directories above it that are made, and so is every file", async () => {
    await using temp = await TempDir.make();
    assertEquals(await openAll(`${temp.path}/above/state`), []);
    assertEquals([permissionsOf(`${temp.path}/above`), permissionsOf(`${temp.path}/above/state`)], ["700", "700"]);
    const names = [...Deno.readDirSync(`${temp.path}/above/state`)].map(({ name }) => name).sort();
    assertEquals(names, FILES);
    for (const name of names) assertEquals(permissionsOf(`${temp.path}/above/state/${name}`), "600", name);
  });

  it("may be read by others, who cannot open its files any more", async () => {
    await using temp = await TempDir.make();
    const state = `${temp.path}/state`;
    await openAll(state);
    await Deno.chmod(state, 0o755);
    for (const name of FILES) await Deno.chmod(`${state}/${name}`, 0o644);
    assertEquals(await openAll(state), [
      `other users could open ${state}/node-7.lock (its mode is 644), ` +
      `${state}/node-7.workers.lock (its mode is 644): from now on, only this user can`,
      `other users could open ${state}/reservations.sqlite (its mode is 644): from now on, only this user can`,
    ]);
    for (const name of FILES) assertEquals(permissionsOf(`${state}/${name}`), "600", name);
    assertEquals(permissionsOf(state), "755");
    assertEquals(await openAll(state), []);
  });

  for (const mode of [0o770, 0o702, 0o777, 0o1777]) {
    it(`is refused if others may write to it: ${mode.toString(8)}`, async () => {
      await using temp = await TempDir.make();
      const state = `${temp.path}/it's ours`;
      await Deno.mkdir(state);
      await Deno.chmod(state, mode);
      const error = await assertRejects(
        () => openAll(state),
        ServeError,
        "other users may write to the state directory",
      );
      const { success } = await new Deno.Command("sh", { args: ["-c", error.message.split("): ")[1]] }).output();
      assert(success, "the message has the command that mends it");
      assertEquals(await openAll(state), []);
    });
  }

  it("is refused if everybody may replace it, and not if the directory above has the sticky bit", async () => {
    await using temp = await TempDir.make();
    const above = `${temp.path}/above`;
    await Deno.mkdir(above);
    await Deno.chmod(above, 0o777);
    await assertRejects(() => openAll(`${above}/below/state`), ServeError, `all users may write to ${above}, in which`);
    await Deno.chmod(above, 0o1777);
    assertEquals(await openAll(`${above}/below/state`), []);
    await Deno.chmod(above, 0o775);
    assertEquals(await openAll(`${above}/below/state`), []);
  });

  it("is where the links to it lead, and what is above that counts", async () => {
    await using temp = await TempDir.make();
    const above = `${temp.path}/above`;
    await Deno.mkdir(`${above}/state`, { recursive: true });
    await link(`${above}/state`, `${temp.path}/link`);
    assertEquals(await openStateDir(`${temp.path}/./link/`), `${above}/state`);
    await Deno.chmod(above, 0o777);
    await assertRejects(() => openStateDir(`${temp.path}/link`), ServeError, "all users may write to ");
  });

  itAsRoot("is refused if it is another user's, or in a directory of another user", async () => {
    await using temp = await TempDir.make();
    const state = `${temp.path}/above/state`;
    await openAll(state);
    await Deno.chown(state, OTHER_USER, null);
    await assertRejects(() => openAll(state), ServeError, `chown 0 ${state}`);
    await Deno.chown(state, 0, null);
    await Deno.chown(`${temp.path}/above`, OTHER_USER, null);
    await assertRejects(
      () => openAll(state),
      ServeError,
      `belongs to user ${OTHER_USER}: chown root ${temp.path}/above`,
    );
  });

  itAsRoot("is refused if one of its files is another user's", async () => {
    await using temp = await TempDir.make();
    const state = `${temp.path}/state`;
    for (const name of FILES) {
      await openAll(state);
      await Deno.chown(`${state}/${name}`, OTHER_USER, null);
      await assertRejects(() => openAll(state), ServeError, `chown 0 ${state}/${name}`);
      await Deno.chown(`${state}/${name}`, 0, null);
    }
  });

  it("is refused if one of its files is a link or a directory, which is left as it is", async () => {
    await using temp = await TempDir.make();
    const state = `${temp.path}/state`;
    const other = `${temp.path}/other`;
    const names = [...FILES, "node-7.pid", "reservations.sqlite-wal", "reservations.sqlite-shm"];
    for (const name of names) {
      await Deno.mkdir(state);
      await link(other, `${state}/${name}`);
      await assertRejects(() => openAll(state), ServeError, `${state}/${name} is a symbolic link`);
      await assertRejects(() => Deno.lstat(other), Deno.errors.NotFound);
      await Deno.remove(`${state}/${name}`);
      await Deno.mkdir(`${state}/${name}`);
      await assertRejects(() => openAll(state), ServeError, `${state}/${name} is no file`);
      await Deno.remove(state, { recursive: true });
    }
  });
});

describe("the directory of a database that --store names", () => {
  const log = { info: () => {}, warn: () => {} };
  async function open(path: string): Promise<void> {
    await using store = await openStore(path, "/nowhere", log);
    await store.read(7);
  }

  for (const mode of [0o770, 0o702, 0o1777]) {
    it(`is refused if others may write to it: ${mode.toString(8)}`, async () => {
      await using temp = await TempDir.make();
      const directory = `${temp.path}/it's ours`;
      await Deno.mkdir(directory);
      await Deno.chmod(directory, mode);
      const { message } = await assertRejects(
        () => open(`${directory}/r.sqlite`),
        ServeError,
        "other users may write to the store's directory",
      );
      assertEquals([...Deno.readDirSync(directory)], []);
      const { success } = await new Deno.Command("sh", { args: ["-c", message.split("): ")[1]] }).output();
      assert(success, "the message has the command that mends it");
      await open(`${directory}/r.sqlite`);
    });
  }

  it("is not made, since a mistyped path would have nothing on record", async () => {
    await using temp = await TempDir.make();
    const message = `the store's directory ${temp.path}/nowhere cannot be used: `;
    const error = await assertRejects(() => open(`${temp.path}/nowhere/r.sqlite`), ServeError, message);
    assert(error.message.endsWith("; choose another with --store"));
  });

  itAsRoot("is refused if it, or a file in it, is another user's", async () => {
    await using temp = await TempDir.make();
    const path = `${temp.path}/r.sqlite`;
    await open(path);
    for (const other of [temp.path, path]) {
      await Deno.chown(other, OTHER_USER, null);
      const { message } = await assertRejects(() => open(path), ServeError, `chown 0 ${other}`);
      assert(message.endsWith(", or choose another directory with --store"));
      await Deno.chown(other, 0, null);
    }
  });
});
