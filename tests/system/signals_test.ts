import { assert, assertEquals, assertMatch } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { denoCommand } from "../../testing/deno_process.ts";
import { ServerProcess } from "../../testing/server_process.ts";
import { TempDir } from "../../testing/temp_dir.ts";
import { until, within } from "../../testing/within.ts";

const ONE_WORKER = ["--workers", "1"];

/** Runs a command of the README's, on a state directory of the test's own; returns its exit code. */
async function runFromReadme(pattern: RegExp, state: TempDir): Promise<number> {
  const [, command] = (await Deno.readTextFile("README.md")).match(pattern) ?? [];
  assert(command, `the README has ${pattern}`);
  const script = command.replaceAll("~/.global-id", state.path);
  const { code } = await new Deno.Command("sh", { args: ["-c", script], stderr: "null" }).output();
  return code;
}

const STOP = /^\| stop it .*`(pkill [^`]*)`/m;
const RELOAD = /^\| replace its workers.*`(pkill [^`]*)`/m;

function exists(path: string): boolean {
  return [...Deno.readDirSync(path.replace(/[^/]*$/, ""))].some(({ name }) => path.endsWith(`/${name}`));
}

describe("the commands of the README that signal a server", () => {
  it("replace its workers, and stop it, and then find no process to signal", async () => {
    await using state = await TempDir.make();
    await using server = await ServerProcess.start({ state, flags: ONE_WORKER });
    assertEquals(await Deno.readTextFile(`${state.path}/node-0.pid`), `${server.pid}\n`);
    assertEquals(await runFromReadme(RELOAD, state), 0);
    await server.says(/the workers have been replaced/);
    assertEquals(await runFromReadme(STOP, state), 0);
    assertEquals((await server.ended()).code, 0);
    assert(!exists(`${state.path}/node-0.pid`));
    assert(await runFromReadme(STOP, state) > 0);
  });

  it("signal no stranger who has got the process id of a server that was killed", async () => {
    await using state = await TempDir.make();
    await using server = await ServerProcess.start({ state, flags: ONE_WORKER });
    server.kill("SIGKILL");
    await server.ended();
    const stranger = new Deno.Command("sleep", { args: ["60"] }).spawn();
    // The file keeps its inode, as after a crash.
    await Deno.writeTextFile(`${state.path}/node-0.pid`, `${stranger.pid}\n`);
    assert(await runFromReadme(STOP, state) > 0);
    stranger.kill("SIGUSR1");
    assertEquals((await stranger.status).signal, "SIGUSR1");
    await server.workersEnded();
  });

  it("signal the server that has replaced another one", async () => {
    await using state = await TempDir.make();
    await using before = await ServerProcess.start({ state, flags: ONE_WORKER });
    const [port] = before.ports;
    await using server = await ServerProcess.start({ state, port, flags: [...ONE_WORKER, "--replace"] });
    await before.ended();
    const names = async () => await Deno.readTextFile(`${state.path}/node-0.pid`).catch(() => "");
    await until("the file names the new server", async () => await names() === `${server.pid}\n`);
    assertEquals(await runFromReadme(STOP, state), 0);
    assertEquals((await server.ended()).code, 0);
  });
});

describe("deno task serve", () => {
  it("stops the server at SIGTERM", async () => {
    await using state = await TempDir.make();
    const args = ["--state", state.path, "--port", 0, ...ONE_WORKER];
    const task = denoCommand({ deno: ["task", "--quiet", "serve"], args, stdin: "null", stdout: "piped" }).spawn();
    let printed = "";
    for await (const text of task.stdout.pipeThrough(new TextDecoderStream())) {
      printed += text;
      if (/try it/.test(text)) task.kill("SIGTERM");
    }
    await within("the task ends", task.status);
    assertMatch(printed, /try it/);
    assert(!exists(`${state.path}/node-0.pid`));
  });
});
