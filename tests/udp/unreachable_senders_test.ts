import { assert, assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { within } from "../../testing/within.ts";
import { canHaveNetwork, runInNetwork } from "./own_network.ts";

/** Gives a machine the kinds of routes on which a send fails at once. 10.9.0.0/24 has none, which is another kind. */
const ROUTES = [
  "ip link set lo up",
  "ip route add unreachable 192.0.2.0/24",
  "ip route add blackhole 198.51.100.0/24",
  "ip route add prohibit 203.0.113.0/24",
].join(" && ");

const test = await canHaveNetwork("unreachable_senders_test", ROUTES) ? it : it.skip;

describe("listenDatagram, asked in the name of senders that no answer reaches", () => {
  test("serves a client without a pause", async () => {
    const deno = [Deno.execPath(), "run", "--quiet", "--allow-ffi", "--allow-net", "--unstable-net"];
    const run = runInNetwork(ROUTES, ...deno, "tests/udp/unreachable_senders.ts");
    const { isSuccess, printed } = await within("all datagrams are handed on", run);
    assert(isSuccess, printed);
    assertEquals(JSON.parse(printed), { failing: 4, handedOn: 500, answered: 100, notFromClient: 100, pauses: 0 });
  });
});
