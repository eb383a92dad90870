import { assert, assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { TempDir } from "../../testing/temp_dir.ts";
import { PoolMemory, state } from "./pool_memory.ts";
import { makePool } from "./pools.ts";

const HEADER = `global-id pool 1
boot b-1
node 7
layout 39/8/16 sequence-node, ticks of 10 ms since 2014-09-01T00:00:00.000Z
holder h-1
`;

describe("the format of a pool", () => {
  it("is that of version 1: what changes a byte of it takes a new version", async () => {
    await using temp = await TempDir.make();
    const path = `${temp.path}/pool`;
    using pool = makePool(path, { position: { tick: 5, taken: 3 }, mark: 9 });
    using memory = new PoolMemory(path);
    assertEquals(Deno.statSync(path).size, 69_632);
    assertEquals(new TextDecoder().decode(memory.bytes.subarray(0, 1024)), HEADER.padEnd(1024, "\0"));
    assertEquals([...memory.numbers.subarray(0, state.owner)], [3, 0, 5, -1, 9]);

    assert(pool.close());
    assertEquals(memory.numbers[state.mark], 0);
  });
});
