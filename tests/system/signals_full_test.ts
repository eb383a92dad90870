import { assert, assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { TempDir } from "../../testing/temp_dir.ts";
import { until, within } from "../../testing/within.ts";

/** The command that the README's quick start begins with. */
async function quickStart(): Promise<string[]> {
  const [command] = (await Deno.readTextFile("README.md")).match(/^npx --yes deno@[0-9.]+ task serve/m) ?? [];
  assert(command, "the README says how to start a server with npx");
  return command.split(" ");
}

async function sh(script: string, ...args: string[]): Promise<number> {
  const { code } = await new Deno.Command("sh", { args: ["-c", script, "sh", ...args], stderr: "null" }).output();
  return code;
}

describe("npx ... task serve", () => {
  it("leaves the server running at SIGTERM, as the README says", async () => {
    await using state = await TempDir.make();
    const [npx, ...args] = await quickStart();
    const child = new Deno.Command(npx, {
      args: [...args, "--state", state.path, "--port", "0", "--workers", "1"],
      ...{ stdin: "null", stdout: "null", stderr: "null" },
    }).spawn();
    const pidFile = `${state.path}/node-0.pid`;
    const isServing = async () => await sh('pgrep -L -F "$1" >/dev/null', pidFile) === 0;
    await until("the server holds the file of its process id", isServing);
    child.kill("SIGTERM");
    await within("npx ends", child.status);
    assert(await isServing());
    assertEquals(await sh('pkill -L -F "$1"', pidFile), 0);
    await until("the server has ended", async () => !await isServing());
  });
});
