import { assert, assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { isFull, SEED } from "../settings.ts";
import { simulate } from "./cluster.ts";

const NODES = isFull ? 1024 : 256;
const SECONDS = 1830;

describe("simulate", () => {
  it(`${NODES} nodes for ${SECONDS} s of faults give no id out twice, and in order, and recover (seed ${SEED})`, async () => {
    const { ids, continued, nodeSeconds, recovered, recoverable } = await simulate({
      seed: SEED,
      nodes: NODES,
      seconds: SECONDS,
    });
    assert(nodeSeconds > NODES * SECONDS);
    assert(ids > 2 * nodeSeconds, `only ${ids} ids`);
    assert(continued > nodeSeconds / 400, `only ${continued} servers went on with a pool`);
    assertEquals(recovered, recoverable);
    assert(recoverable > NODES / 2, `only ${recoverable} nodes could recover`);
  });

  it("does the same with the same seed, and something else with another", async () => {
    const run = (seed: number) => simulate({ seed, nodes: 16, seconds: 300 });
    const [first, again, other] = [await run(2), await run(2), await run(3)];
    assertEquals(first, again);
    assert(first.ids !== other.ids);
  });
});
