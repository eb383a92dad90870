import { assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { within } from "../../testing/within.ts";

const ROOT = new URL("../../", import.meta.url).pathname;

/** Gives a machine a link without anybody at its other end, and runs a command there. */
const WITH_LINK = `
  ip link set lo up || exit
  ip link add near type veth peer name far || exit
  ip link set near up && ip link set far up && ip addr add 10.9.0.1/24 dev near || exit
  exec "$@"`;

/** Runs a command in a network of its own. */
async function runInNetwork(...command: string[]): Promise<{ isSuccess: boolean; printed: string }> {
  const args = ["-rn", "sh", "-c", WITH_LINK, "sh", ...command];
  try {
    const { success, stdout, stderr } = await new Deno.Command("unshare", { args, cwd: ROOT }).output();
    return { isSuccess: success, printed: new TextDecoder().decode(success ? stdout : stderr).trim() };
  } catch (error) {
    return { isSuccess: false, printed: String(error) };
  }
}

const trial = Deno.build.os === "linux" ? await runInNetwork("true") : { isSuccess: false, printed: "not Linux" };
if (!trial.isSuccess) {
  console.warn(`unresolvable_neighbors_test: left out, needs a network of its own: ${trial.printed}`);
}

describe("bindReuseport, asked by neighbours that do not resolve", () => {
  (trial.isSuccess ? it : it.skip)("goes on to receive while there is no room for answers", async () => {
    const deno = [Deno.execPath(), "run", "--quiet", "--allow-ffi"];
    const run = runInNetwork(...deno, "tests/udp/unresolvable_neighbors.ts");
    assertEquals(await within("all datagrams are handed on", run), { isSuccess: true, printed: "400" });
  });
});
