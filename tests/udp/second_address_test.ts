import { assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { canHaveNetwork, runInNetwork } from "./own_network.ts";

/** Gives a machine two addresses of each kind. */
const ADDRESSES = [
  "ip link set lo up",
  ...["192.0.2.1/24", "192.0.2.2/24", "2001:db8::1/64", "2001:db8::2/64"].map((address) =>
    `ip addr add ${address} dev lo nodad`
  ),
].join(" && ");

const test = await canHaveNetwork("second_address_test", ADDRESSES) ? it : it.skip;

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
    test(`bound to ${bound}, answers ${from} from ${asked}, which it asked`, async () => {
      const deno = [Deno.execPath(), "run", "--quiet", "--allow-ffi"];
      const outcome = await runInNetwork(ADDRESSES, ...deno, "tests/udp/second_address.ts", bound, from, asked);
      assertEquals(outcome, { isSuccess: true, printed: answering });
    });
  }
});
