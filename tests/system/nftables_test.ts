import { assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";

const ROOT = new URL("../../", import.meta.url).pathname;

/** Runs a command in a network of its own, where this user may do what root may. */
async function runInNetwork(...command: string[]): Promise<{ isSuccess: boolean; printed: string }> {
  try {
    const { success, stdout, stderr } = await new Deno.Command("unshare", { args: ["-rn", ...command], cwd: ROOT })
      .output();
    return { isSuccess: success, printed: new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr) };
  } catch (error) {
    return { isSuccess: false, printed: String(error) };
  }
}

const trial = await runInNetwork("nft", "list", "ruleset");
if (!trial.isSuccess) {
  console.warn(`nftables_test: left out, needs nft (package nftables) and a network of its own: ${trial.printed}`);
}

describe("deploy/nftables.conf", () => {
  (trial.isSuccess ? it : it.skip)("is what the kernel takes, also a second time", async () => {
    const twice = "nft -f deploy/nftables.conf && nft -f deploy/nftables.conf && nft list tables";
    assertEquals(await runInNetwork("sh", "-c", twice), { isSuccess: true, printed: "table inet global_id\n" });
  });
});
