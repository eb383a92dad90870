import { assert, assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { simulate } from "./cluster.ts";

describe("a simulated cluster", () => {
  it("of 1,024 nodes gives no id out twice in two million node seconds of faults, and recovers from them", async () => {
    const { ids, nodeSeconds, recovered, recoverable } = await simulate(1, 1024, 1900);
    assert(nodeSeconds > 2_000_000);
    assert(ids > 4_000_000, `only ${ids} ids`);
    assertEquals(recovered, recoverable);
    assert(recoverable > 512, `only ${recoverable} nodes could recover`);
  });

  it("does the same with the same seed, and something else with another", async () => {
    const [first, again, other] = [await simulate(2, 16, 300), await simulate(2, 16, 300), await simulate(3, 16, 300)];
    assertEquals(first, again);
    assert(first.ids !== other.ids);
  });
});
