import { assert, assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { simulate } from "./cluster.ts";

describe("a simulated cluster", () => {
  it("of 1,024 nodes gives no id out twice, and in order, in two million node seconds of faults, and recovers", async () => {
    const { ids, continued, nodeSeconds, recovered, recoverable } = await simulate(1, 1024, 1830);
    assert(nodeSeconds > 2_000_000);
    assert(ids > 4_000_000, `only ${ids} ids`);
    assert(continued > 5000, `only ${continued} servers went on with a pool`);
    assertEquals(recovered, recoverable);
    assert(recoverable > 512, `only ${recoverable} nodes could recover`);
  });

  it("does the same with the same seed, and something else with another", async () => {
    const [first, again, other] = [await simulate(2, 16, 300), await simulate(2, 16, 300), await simulate(3, 16, 300)];
    assertEquals(first, again);
    assert(first.ids !== other.ids);
  });
});
