import { assertEquals, assertMatch } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { ownCommand } from "../../lib/base/own_command.ts";
import { runDeno } from "../../testing/deno_process.ts";

const ROOT = new URL("../../", import.meta.url).pathname;

describe("ownCommand", () => {
  it("names the task in the directory of the checkout", () => {
    assertEquals([ownCommand("id"), ownCommand("serve")], ["deno task id", "deno task serve"]);
  });

  it("names what can be run elsewhere", async () => {
    const run = { deno: ["run", "--quiet", "-P=id"], program: `${ROOT}id_command.ts`, cwd: "/" };
    const { stdout } = await runDeno({ ...run, args: ["--help"] });
    const [, usage] = stdout.match(/\nUsage: deno (.*) \[flags\]\n/) ?? [];
    assertEquals(usage, `run -P=id ${ROOT}id_command.ts`);
    const { code, stdout: version } = await runDeno({ deno: usage.split(" "), args: ["--version"], cwd: "/" });
    assertEquals(code, 0);
    assertMatch(version, /^global-id [0-9.]+\n$/);
  });
});
