import { assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { within } from "../../testing/within.ts";
import { canHaveNetwork, runInNetwork } from "./own_network.ts";

/** Gives a machine a link without anybody at its other end. */
const LINK = [
  "ip link set lo up",
  "ip link add near type veth peer name far",
  "ip link set near up",
  "ip link set far up",
  "ip addr add 10.9.0.1/24 dev near",
].join(" && ");

const test = await canHaveNetwork("unresolvable_neighbors_test", LINK) ? it : it.skip;

describe("bindReuseport, asked by neighbours that do not resolve", () => {
  test("goes on to receive while there is no room for answers", async () => {
    const deno = [Deno.execPath(), "run", "--quiet", "--allow-ffi"];
    const run = runInNetwork(LINK, ...deno, "tests/udp/unresolvable_neighbors.ts");
    assertEquals(await within("all datagrams are handed on", run), { isSuccess: true, printed: "400" });
  });
});
