import { assert, assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { NotifySocket } from "../../testing/notify_socket.ts";
import { TempDir } from "../../testing/temp_dir.ts";
import { within } from "../../testing/within.ts";

const ROOT = new URL("../../", import.meta.url).pathname;
const UNIT = await Deno.readTextFile(`${ROOT}deploy/global-id.service`);

/** Where the unit expects things; they are elsewhere here. */
const DENO = "/usr/local/bin/deno";
const CHECKOUT = "/usr/local/lib/global-id/";
const STATE = "/var/lib/global-id";

/** The highest exposure that `systemd-analyze security` may find, of 10. */
const MAX_EXPOSURE = 2;

const hasAnalyze = await new Deno.Command("systemd-analyze", { args: ["--version"] }).output()
  .then(({ success }) => success, () => false);
const analyzed = hasAnalyze ? it : it.skip;
if (!hasAnalyze) console.warn("LEFT OUT: the checks of deploy/global-id.service need systemd-analyze (systemd)");

async function analyze(...args: string[]): Promise<{ code: number; output: string }> {
  const { code, stdout, stderr } = await new Deno.Command("systemd-analyze", { args }).output();
  const decoder = new TextDecoder();
  return { code, output: decoder.decode(stdout) + decoder.decode(stderr) };
}

/** The words of a setting of the unit. */
function wordsOf(setting: string): string[] {
  const [, value] = new RegExp(`^${setting}=(.*)$`, "m").exec(UNIT.replaceAll("\\\n", " ")) ?? [];
  assert(value, `the unit has ${setting}=`);
  return value.trim().split(/\s+/);
}

/** Runs the unit's ExecStart for a service manager with this socket, in this checkout. */
function startService(state: string, socket: string): Deno.ChildProcess {
  const here = (word: string) => word.replace(DENO, Deno.execPath()).replace(CHECKOUT, ROOT).replace(STATE, state);
  const [command, ...args] = [...wordsOf("ExecStart").map(here), "--port", "0"];
  return new Deno.Command(command, {
    args,
    env: { NOTIFY_SOCKET: socket, WATCHDOG_USEC: "200000", DENO_NO_UPDATE_CHECK: "1" },
    stdin: "null",
    stdout: "null",
  }).spawn();
}

describe("deploy/global-id.service", () => {
  analyzed("is verified by systemd without a word", async () => {
    await using dir = await TempDir.make();
    const path = `${dir.path}/global-id.service`;
    await Deno.writeTextFile(path, UNIT.replaceAll(DENO, Deno.execPath()));
    assertEquals(await analyze("verify", path), { code: 0, output: "" });
  });

  analyzed(`has an exposure of less than ${MAX_EXPOSURE}`, async () => {
    const { output } = await analyze("security", "--offline=true", "--no-pager", `${ROOT}deploy/global-id.service`);
    const exposure = Number(/exposure level .*: ([0-9.]+)/.exec(output)?.[1]);
    assert(exposure < MAX_EXPOSURE, output);
  });

  it("serves with just its permissions, and tells the service manager", async () => {
    assertEquals(wordsOf("ExecReload").slice(1), ["-USR2", "$MAINPID"]);
    await using dir = await TempDir.make();
    for (const name of [`${dir.path}/notify`, `@global-id-${crypto.randomUUID()}`]) {
      await using socket = new NotifySocket(name);
      const service = startService(`${dir.path}/state`, name);
      await socket.says(/^READY=1\nSTATUS=node 0 on 127\.0\.0\.1 udp port [0-9]+: .*reuseport/);
      await socket.says(/^WATCHDOG=1$/);
      service.kill("SIGUSR2");
      await socket.says(/^RELOADING=1\nMONOTONIC_USEC=[0-9]+$/);
      await socket.says(/^READY=1$/);
      service.kill("SIGTERM");
      await socket.says(/^STOPPING=1$/);
      assertEquals((await within("the service ends", service.status)).code, 0);
    }
  });
});
