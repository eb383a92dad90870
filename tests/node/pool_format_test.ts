import { assert, assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { DEFAULT_LAYOUT } from "../../mod.ts";
import { TempDir } from "../../testing/temp_dir.ts";
import { makePool } from "./pools.ts";

/**
 * The pool's memory is a format: after an upgrade, a server opens the pool that its predecessor has left. If this test
 * fails, the format has changed. Then give it a new version (`VERSION` in lib/node/pool_header.ts), and write down here
 * what it is now.
 */
const HEADER = "global-id pool 4\n" +
  "boot 7f2c8e11-1111-4222-8333-444455556666\n" +
  "node 1023\n" +
  "layout v1 time=37 sequence=17 node=10 order=sequence-node tick_ms=1000 epoch_ms=1577836800000\n" +
  "holder 0b2c3d4e-aaaa-4bbb-8ccc-ddddeeeeffff\n";

const ATTEMPT = "19abcdef0123456789abcdef01234567";

const LITTLE_ENDIAN = true;

describe("NodePool.create: the format, version 4", () => {
  const identity = {
    boot: "7f2c8e11-1111-4222-8333-444455556666",
    nodeId: 1023,
    layout: DEFAULT_LAYOUT,
    holder: "0b2c3d4e-aaaa-4bbb-8ccc-ddddeeeeffff",
  };

  async function readFreshPool(): Promise<Uint8Array<ArrayBuffer>> {
    await using temp = await TempDir.make();
    const path = `${temp.path}/pool`;
    makePool(path, { ...identity, position: { tick: 300_000_000, taken: 77 }, mark: 300_000_016, attempt: ATTEMPT })
      [Symbol.dispose]();
    return await Deno.readFile(path);
  }

  it("has the length of header, mutex, words, 128 attempts, 16 counts for each of 1024 workers, and 16384 places", async () => {
    assertEquals((await readFreshPool()).length, 401_408);
  });

  it("begins with the header in text, padded with zeros to 1024 bytes", async () => {
    const header = new Uint8Array(1024);
    header.set(new TextEncoder().encode(HEADER));
    assertEquals((await readFreshPool()).slice(0, 1024), header);
  });

  it("has a mutex in the 48 bytes behind it", async () => {
    assert((await readFreshPool()).slice(1024, 1072).some((byte) => byte !== 0));
  });

  it("has its words in floating point behind that: two counts, two ticks, the mark, the owner", async () => {
    const bytes = await readFreshPool();
    const hexAt = (offset: number) => bytes.slice(offset, offset + 8).toHex();
    assertEquals([1072, 1080, 1088, 1096, 1104].map(hexAt), [
      "0000000000405340", // taken of slot 0: 77
      "0000000000000000", // taken of slot 1: 0
      "00000000a3e1b141", // tick of slot 0: 300,000,000
      "000000000000f0bf", // tick of slot 1: -1
      "00000010a3e1b141", // the mark: 300,000,016
    ]);
    const owner = new DataView(bytes.buffer).getFloat64(1112, LITTLE_ENDIAN);
    assert(Number.isSafeInteger(owner) && owner > 0, `the owner is ${owner}`);
  });

  it("has the numbers of the first attempt noted and of the next one behind that, and the attempts from 4096 on", async () => {
    const bytes = await readFreshPool();
    assertEquals(bytes.slice(1120, 1136).toHex(), "0000000000000000" + "000000000000f03f"); // 0 and 1
    assertEquals(bytes.slice(4096, 4128).toHex(), new TextEncoder().encode(ATTEMPT).toHex());
  });

  it("has the counts in floating point from 8192 on, 128 bytes for each worker", async () => {
    await using temp = await TempDir.make();
    const path = `${temp.path}/pool`;
    using pool = makePool(path, identity);
    const counts = Array.from({ length: 16 }, (_, i) => 100 + i);
    pool.addCounts(0, counts);
    pool.addCounts(1023, counts);
    const { buffer } = await Deno.readFile(path);
    assertEquals([...new Float64Array(buffer, 8192, 17)], [...counts, 0]);
    assertEquals([...new Float64Array(buffer, 139_264 - 136, 17)], [0, ...counts]);
  });

  it("counts sources behind a mutex of their own, from 139264 on", async () => {
    await using temp = await TempDir.make();
    const path = `${temp.path}/pool`;
    using pool = makePool(path, identity);
    const bytes = await Deno.readFile(path);
    assert(bytes.slice(1152, 1200).some((byte) => byte !== 0), "the mutex");
    assert(bytes.slice(1208, 1228).some((byte) => byte !== 0), "the secret");
    pool.sources.tick[0] = 77;
    pool.sources.places.set([1, 2, 3, 4], 16_383 * 4);
    const { buffer } = await Deno.readFile(path);
    assertEquals(new Float64Array(buffer, 1200, 1)[0], 77);
    assertEquals([...new Uint32Array(buffer, 401_408 - 16)], [1, 2, 3, 4]);
  });

  it("is zero between and from there to its end", async () => {
    const bytes = await readFreshPool();
    for (const rest of [bytes.slice(1136, 1152), bytes.slice(1200, 1208), bytes.slice(1228, 4096), bytes.slice(4128)]) {
      assertEquals(rest.findIndex((byte) => byte !== 0), -1);
    }
  });
});
