import { assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";

const ROOT = new URL("../../", import.meta.url).pathname;

/** Gives a machine two addresses of each kind, and runs a command there. */
const WITH_ADDRESSES = `
  ip link set lo up || exit
  for address in 192.0.2.1/24 192.0.2.2/24 2001:db8::1/64 2001:db8::2/64; do ip addr add $address dev lo nodad || exit; done
  exec "$@"`;

/** Runs a command in a network of its own. */
async function runInNetwork(...command: string[]): Promise<{ isSuccess: boolean; printed: string }> {
  const args = ["-rn", "sh", "-c", WITH_ADDRESSES, "sh", ...command];
  try {
    const { success, stdout, stderr } = await new Deno.Command("unshare", { args, cwd: ROOT }).output();
    const printed = new TextDecoder().decode(success ? stdout : stderr).trim();
    return { isSuccess: success, printed };
  } catch (error) {
    return { isSuccess: false, printed: String(error) };
  }
}

const hasNetworks = Deno.build.os === "linux" && (await runInNetwork("true")).isSuccess;

describe("bindReuseport, on a machine with several addresses", () => {
  for (
    const [bound, from, asked, answering] of [
      ["0.0.0.0", "192.0.2.1", "192.0.2.2", "0:0:ffff:c0000202"],
      ["::", "192.0.2.1", "192.0.2.2", "0:0:ffff:c0000202"],
      ["::", "2001:db8::1", "2001:db8::2", "20010db8:0:0:2"],
      ["::", "2001:db8::1", "::1", "0:0:0:1"],
      ["2001:db8::2", "2001:db8::1", "2001:db8::2", "20010db8:0:0:2"],
    ]
  ) {
    (hasNetworks ? it : it.skip)(`bound to ${bound}, answers ${from} from ${asked}, which it asked`, async () => {
      const deno = [Deno.execPath(), "run", "--quiet", "--allow-ffi"];
      const outcome = await runInNetwork(...deno, "tests/udp/second_address.ts", bound, from, asked);
      assertEquals(outcome, { isSuccess: true, printed: answering });
    });
  }
});
