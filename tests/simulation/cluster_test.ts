import { assert, assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { isFull, SEED } from "../settings.ts";
import { simulate } from "./cluster.ts";

const NODES = isFull ? 1024 : 160;
const SECONDS = 1830;

describe("simulate", () => {
  it(`${NODES} nodes for ${SECONDS} s of faults give no id out twice, and in order, and recover (seed ${SEED})`, async () => {
    const outcome = await simulate({
      seed: SEED,
      nodes: NODES,
      seconds: SECONDS,
    });
    const { ids, continued, found, nodeSeconds, recovered, recoverable } = outcome;
    assert(nodeSeconds > NODES * SECONDS);
    assert(ids > 2 * nodeSeconds, `only ${ids} ids`);
    assert(continued > nodeSeconds / 400, `only ${continued} servers went on with a pool`);
    assert(found > nodeSeconds / 1000, `only ${found} times, a server took any node`);
    assertEquals(recovered, recoverable);
    assert(recoverable > NODES / 2, `only ${recoverable} nodes could recover`);
  });

  it("has shared stores fail in the ways that are theirs", async () => {
    const { goneBack, foundMade, warned, unkept, warnings } = await simulate({ seed: SEED, nodes: 24, seconds: 600 });
    for (const [fault, times] of Object.entries({ goneBack, foundMade, warned, unkept, warnings })) {
      assert(times > 0, `no ${fault}`);
    }
  });

  it("does the same with the same seed, and something else with another", async () => {
    const run = (seed: number) => simulate({ seed, nodes: 16, seconds: 300 });
    const [first, again, other] = [await run(2), await run(2), await run(3)];
    assertEquals(first, again);
    assert(first.ids !== other.ids);
  });
});
