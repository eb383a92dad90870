import { assert, assertEquals, assertMatch } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import denoJson from "../../deno.json" with { type: "json" };
import { TempDir } from "../../testing/temp_dir.ts";
import { within } from "../../testing/within.ts";
import { JsrRegistry } from "./jsr_registry.ts";

/** The command line that the documentation gives, as the words of a shell. */
async function documented(file: string): Promise<string> {
  const text = (await Deno.readTextFile(file)).replaceAll(/\\?\n \*/g, " ");
  const [command] = text.match(/deno (run|install) .*?jsr:@global-id\/global-id\/[a-z-]+/) ?? [];
  assert(command, `${file} says how to run it without a checkout`);
  return command;
}

/** Runs a shell's command somewhere else, and returns what it prints. */
async function run(script: string, env: Record<string, string>, cwd: string): Promise<string> {
  const child = new Deno.Command("sh", {
    ...{ args: ["-c", `exec 2>&1; exec ${script}`], env: { NO_COLOR: "1", ...env }, cwd },
    ...{ stdin: "null", stdout: "piped" },
  }).spawn();
  const printed = await new Response(child.stdout).text();
  await within("the command ends", child.status);
  return printed;
}

describe("the package without a checkout", () => {
  it("serves and prints ids by the documented commands, whatever project they are run in, and names true ones", async () => {
    await using registry = await JsrRegistry.start();
    await using temp = await TempDir.make();
    const env = { JSR_URL: registry.url, HOME: temp.path, DENO_DIR: await denoDir(), DENO_INSTALL_ROOT: temp.path };
    const project = `${temp.path}/project`;
    await Deno.mkdir(project);
    // In a project of its own, or else Deno would take this checkout for the package.
    const elsewhere = `${temp.path}/elsewhere`;
    await Deno.mkdir(elsewhere);
    await Deno.writeTextFile(`${elsewhere}/deno.json`, "{}");

    const serve = await documented("server.ts");
    const install = serve.replace(/^deno run/, "deno install --global --name global-id");
    assertMatch(await run(install, env, elsewhere), /Successfully installed global-id/);
    // What the server is started in must not matter to it, nor to its workers.
    await Deno.writeTextFile(`${project}/deno.json`, "this is no JSON");
    const server = `${temp.path}/bin/global-id`;
    assertEquals(await run(`${server} --version`, env, project), `global-id ${denoJson.version}\n`);

    let asked: Promise<string> | undefined;
    const child = new Deno.Command("sh", {
      ...{ args: ["-c", `exec ${server} --workers 1 --port 0`], env: { NO_COLOR: "1", ...env }, cwd: project },
      ...{ stdin: "null", stdout: "piped" },
    }).spawn();
    let printed = "";
    for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) {
      printed += text;
      const [, command] = printed.match(/try it: (.*)\n/) ?? [];
      if (command === undefined) continue;
      asked ??= run(command, env, elsewhere).finally(() => child.kill("SIGTERM"));
    }
    assertMatch(printed, /try it: deno run .* jsr:@global-id\/global-id@.*\/id-command --port [0-9]+\n/);
    assertMatch(await asked ?? "", /(^|\n)[0-9]{20}\n$/);
    assertEquals((await within("the server ends", child.status)).code, 0);
    for (const command of ["id_command.ts", "nodes_command.ts"]) {
      assertMatch(await run(`${await documented(command)} --help`, env, elsewhere), /\nUsage: deno run .* jsr:/);
    }
  });
});

describe("the commands of the README that install", () => {
  it("make commands that tell their version", async () => {
    await using registry = await JsrRegistry.start();
    await using temp = await TempDir.make();
    const env = { JSR_URL: registry.url, DENO_DIR: await denoDir(), DENO_INSTALL_ROOT: temp.path };
    await Deno.writeTextFile(`${temp.path}/deno.json`, "{}");
    const installs = (await Deno.readTextFile("README.md")).match(/^deno install(.*\\\n)*.*$/gm) ?? [];
    assertEquals(installs.length, 2);
    for (const install of installs) {
      await run(install, env, temp.path);
      const command = `${temp.path}/bin/${install.match(/--name (\S+)/)?.[1]}`;
      assertEquals(await run(`${command} --version`, env, temp.path), `global-id ${denoJson.version}\n`);
    }
  });
});

/** Where Deno has its cache, so that nothing is downloaded anew. */
async function denoDir(): Promise<string> {
  const { stdout } = await new Deno.Command(Deno.execPath(), { args: ["info", "--json"] }).output();
  return JSON.parse(new TextDecoder().decode(stdout)).denoDir;
}
