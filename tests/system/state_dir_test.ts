import { assert, assertEquals, assertGreater, assertMatch, assertNotMatch } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { IdClient } from "../../client.ts";
import { openLibc } from "../../lib/libc/libc.ts";
import { poolPathOf } from "../../lib/node/pool_path.ts";
import { denoCommand } from "../../testing/deno_process.ts";
import { TempDir } from "../../testing/temp_dir.ts";
import { ServerProcess } from "../../testing/server_process.ts";

const ONE_WORKER = ["--workers", "1"];

/** What a server says that does not go on where the one before ended, and one whose successor will not. */
const FROM_MARK = /ids begin where the last reservation ends: (.*)/;
const NOT_LASTING = /after this server, ids will begin where its reservation ends: (.*)/;

async function nextId(server: ServerProcess): Promise<bigint> {
  using client = new IdClient({ port: server.ports[0] });
  return await client.nextId();
}

/** Runs a command, for what Deno itself may not do in a test. */
async function run(command: string, ...args: string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command(command, { args }).output();
  assert(success, new TextDecoder().decode(stderr));
}

/** Starts a server with a umask, and stops it once it serves and SQLite has its files. */
async function serveWithUmask(umask: string, state: string): Promise<void> {
  const serve = [Deno.execPath(), "run", "--quiet", "-P=serve", "server.ts", "--port", "0", "--state", state];
  const command = new Deno.Command("sh", {
    args: ["-c", 'umask "$1" && shift && exec "$@"', "sh", umask, ...serve, ...ONE_WORKER],
    ...{ stdin: "null", stdout: "piped", stderr: "piped", env: { NO_COLOR: "1" } },
  });
  await using server = command.spawn();
  let printed = "";
  const errors = new Response(server.stderr).text();
  for await (const text of server.stdout.pipeThrough(new TextDecoderStream())) {
    printed += text;
    if (!/try it/.test(text)) continue;
    // SQLite's own files are there while it is open. A server that is killed leaves them.
    server.kill("SIGKILL");
  }
  assertMatch(printed, /try it/, await errors);
}

const isRoot = openLibc().geteuid() === 0;
if (!isRoot) console.warn("state_dir_test (system): left out, since what another user may do needs root");

describe("a state directory", () => {
  it("may have any path, and be known by several", async () => {
    await using temp = await TempDir.make();
    const path = `${temp.path}/of 100% "any" kind 'with' $HOME & ünïcödé`;
    await Deno.mkdir(path);
    await run("ln", "-s", path, `${temp.path}/link`);
    let last = -1n;
    for (const state of [path, `${temp.path}/./link/`, path]) {
      await using server = await ServerProcess.start({ state: temp, flags: [...ONE_WORKER, "--state", state] });
      const id = await nextId(server);
      assertGreater(id, last);
      last = id;
      assertNotMatch(server.printed, FROM_MARK);
      assertNotMatch(server.printed, NOT_LASTING);
      server.kill("SIGKILL");
      await server.ended();
    }
  });

  for (const umask of ["000", "077", "177"]) {
    it(`is its user's alone, with the umask ${umask}`, async () => {
      await using temp = await TempDir.make();
      await Deno.chmod(temp.path, 0o755);
      const state = `${temp.path}/state`;
      if (umask === "177") await Deno.mkdir(state); // with this umask, nobody could enter it
      await serveWithUmask(umask, state);
      const { stdout } = await new Deno.Command("find", { args: [state, "-printf", "%m %f\n"] }).output();
      const modes = new TextDecoder().decode(stdout).trim().split("\n").filter((line) => !line.endsWith(" state"));
      assertEquals(modes.filter((line) => !line.startsWith("600 ")), []);
      assertGreater(modes.length, 2);
    });
  }

  (isRoot ? it : it.skip)("cannot be opened by another user, who could keep the server from its ids", async () => {
    await using temp = await TempDir.make();
    await Deno.chmod(temp.path, 0o755);
    // A directory as servers made it before, in which others may read.
    const state = `${temp.path}/state`;
    const before = await ServerProcess.start({ state: temp, flags: [...ONE_WORKER, "--state", state] });
    await before.stop();
    await run("chmod", "-R", "go=rX", state);

    await using server = await ServerProcess.start({ state: temp, flags: [...ONE_WORKER, "--state", state] });
    assertMatch(server.printed, /other users could open .*: from now on, only this user can/);
    const files = [...Deno.readDirSync(state)].map(({ name }) => `${state}/${name}`);
    assertGreater(files.length, 4);
    const script = 'for f; do if flock --shared --nonblock "$f" true 2>/dev/null; then echo "$f"; fi; done';
    const asNobody = ["--reuid=65534", "--regid=65534", "--clear-groups", "sh", "-c", script, "sh"];
    const { stdout, stderr } = await new Deno.Command("setpriv", { args: [...asNobody, ...files] }).output();
    assertEquals(new TextDecoder().decode(stdout), "", "files that another user can open and lock");
    assertEquals(new TextDecoder().decode(stderr), "");
  });

  it("is all that deno task serve must be told, wherever it is", async () => {
    await using temp = await TempDir.make();
    const state = `${temp.path}/of my own`;
    const task = denoCommand({
      deno: ["task", "--quiet", "serve"],
      args: ["--state", state, "--port", 0, ...ONE_WORKER],
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    let printed = "";
    const isServing = (async () => {
      for await (const text of task.stdout.pipeThrough(new TextDecoderStream())) {
        printed += text;
        // Not by way of the task, which is a process of its own.
        if (/try it/.test(text)) Deno.kill(Number(await Deno.readTextFile(`${state}/node-0.pid`)), "SIGTERM");
      }
    })();
    const errors = await new Response(task.stderr).text();
    await isServing;
    assertEquals((await task.status).code, 0, errors);
    assertMatch(printed, /try it/);
  });
});

/** What may lie where a pool is to be; what the server says of it, and whether its own pool can lie there. */
interface Obstacle {
  readonly what: string;
  /** Commands that put it there: $1 is the path, $2 that of another file. */
  readonly script: string;
  readonly message: RegExp;
  readonly isReplaced: boolean;
}

const OBSTACLES: Obstacle[] = [
  {
    what: "a file that others may read",
    script: 'chmod 644 "$1"',
    message: /has the mode 100644 instead of 100600/,
    isReplaced: false,
  },
  {
    what: "a file of another user",
    script: 'chown nobody "$1"',
    message: /belongs to user [0-9]+/,
    isReplaced: false,
  },
  {
    what: "a link to a file",
    script: 'mv "$1" "$2" && ln -s "$2" "$1"',
    message: /cannot be opened \(probably: /,
    isReplaced: false,
  },
  {
    what: "a file that has another name too",
    script: 'ln "$1" "$1-too"',
    message: /has more than one name, or none/,
    isReplaced: false,
  },
  { what: "a directory", script: 'rm "$1" && mkdir "$1"', message: /cannot be opened \(probably: /, isReplaced: false },
  {
    what: "a pipe",
    script: 'rm "$1" && mkfifo -m 600 "$1"',
    message: /has the mode 10600 instead of 100600/,
    isReplaced: false,
  },
  {
    what: "a file that is too short",
    script: 'truncate -s 1000 "$1"',
    message: /the pool is damaged, or of another version: it has 1000 bytes/,
    isReplaced: true,
  },
  {
    what: "a file of zeros",
    script: 'dd if=/dev/zero of="$1" bs=1024 count=8 conv=notrunc status=none',
    message: /the pool is damaged: it does not begin as one/,
    isReplaced: true,
  },
  { what: "nothing", script: 'rm "$1"', message: /there is no pool of it on this machine/, isReplaced: true },
];

describe("the file of a pool", () => {
  const obstacles = OBSTACLES.filter(({ script }) => isRoot || !script.startsWith("chown"));

  it("is replaced or left alone, and ids begin at the mark, if it is not to be trusted", async () => {
    await Promise.all(obstacles.map(async ({ what, script, message, isReplaced }) => {
      await using state = await TempDir.make();
      const before = await ServerProcess.start({ state, flags: ONE_WORKER });
      const last = await nextId(before);
      assertEquals((await before.stop()).code, 0);
      await run("sh", "-c", script, "sh", poolPathOf(state.path, 0), `${state.path}/file`);

      await using server = await ServerProcess.start({ state, flags: ONE_WORKER });
      assertMatch(server.printed.match(FROM_MARK)?.[1] ?? "", message, what);
      if (isReplaced) assertNotMatch(server.printed, NOT_LASTING, what);
      else assertMatch(server.printed.match(NOT_LASTING)?.[1] ?? "", message, what);
      assertGreater(await nextId(server), last, what);
    }));
  });

  it("is done without if there can be none, and the next server says so", async () => {
    await using state = await TempDir.make();
    const before = await ServerProcess.start({ state, flags: ONE_WORKER });
    const last = await nextId(before);
    assertEquals((await before.stop()).code, 0);
    const draft = `${poolPathOf(state.path, 0)}.new`;
    await run("mkdir", draft);

    const server = await ServerProcess.start({ state, flags: ONE_WORKER });
    assertMatch(server.printed.match(NOT_LASTING)?.[1] ?? "", /cannot make .*\.new \(probably: File exists\)/);
    const id = await nextId(server);
    assertGreater(id, last);
    assertEquals((await server.stop()).code, 0);
    await run("rmdir", draft);

    await using next = await ServerProcess.start({ state, flags: ONE_WORKER });
    assertMatch(next.printed.match(FROM_MARK)?.[1] ?? "", /the node has been held elsewhere since/);
    assertGreater(await nextId(next), id);
  });
});
