import { assert, assertEquals, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import fc from "fast-check";
import { DEFAULT_LAYOUT, IdLayout, type IdLayoutOptions, type LayoutName, LAYOUTS } from "../../mod.ts";

const SMALL: IdLayoutOptions = { timeBits: 3, sequenceBits: 2, nodeBits: 2, tickMs: 10, epochMs: 1000 };

describe("IdLayout", () => {
  for (const order of ["sequence-node", "node-sequence"] as const) {
    it(`packs and unpacks every id of a small layout, in order (${order})`, () => {
      const layout = new IdLayout({ ...SMALL, order });
      let expected = 0n;
      for (let tick = 0; tick < 8; tick++) {
        for (let upper = 0; upper < 4; upper++) {
          for (let lower = 0; lower < 4; lower++) {
            const [sequence, nodeId] = order === "sequence-node" ? [upper, lower] : [lower, upper];
            assertEquals(layout.pack({ tick, sequence, nodeId }), expected);
            assertEquals(layout.unpack(expected), { tick, sequence, nodeId });
            assertEquals(layout.timestampOf(expected).getTime(), 1000 + tick * 10);
            expected++;
          }
        }
      }
      assertEquals(expected, 1n << BigInt(layout.totalBits));
    });
  }

  it("packs and unpacks the corners of the widest fields", () => {
    for (
      const [timeBits, sequenceBits, nodeBits] of [[53, 11, 0], [53, 0, 11], [33, 31, 0], [33, 0, 31], [2, 31, 31], [
        1,
        0,
        0,
      ]]
    ) {
      for (const order of ["sequence-node", "node-sequence"] as const) {
        const layout = new IdLayout({ timeBits, sequenceBits, nodeBits, tickMs: 1, epochMs: 0, order });
        const last = { tick: layout.maxTick, sequence: layout.maxSequence, nodeId: layout.maxNodeId };
        const lastId = (1n << BigInt(timeBits + sequenceBits + nodeBits)) - 1n;
        assertEquals(layout.pack(last), lastId);
        assertEquals(layout.unpack(lastId), last);
        assertEquals(layout.unpack(0n), { tick: 0, sequence: 0, nodeId: 0 });
      }
    }
  });

  it("refuses fields that do not fit, and says what does", () => {
    const layout = new IdLayout(SMALL);
    const parts = { tick: 1, sequence: 1, nodeId: 1 };
    assertThrows(() => layout.pack({ ...parts, tick: 8 }), RangeError, "tick must be an integer from 0 to 7: got 8");
    assertThrows(
      () => layout.pack({ ...parts, sequence: 4 }),
      RangeError,
      "sequence must be an integer from 0 to 3: got 4",
    );
    assertThrows(
      () => layout.pack({ ...parts, nodeId: -1 }),
      RangeError,
      "nodeId must be an integer from 0 to 3: got -1",
    );
    assertThrows(() => layout.pack({ ...parts, tick: 1.5 }), RangeError, "got 1.5");
    assertThrows(() => layout.unpack(-1n), RangeError, "id must be from 0 to 127 (7 bits): got -1");
    assertThrows(() => layout.unpack(128n), RangeError, "id must be from 0 to 127 (7 bits): got 128");
    assertThrows(() => layout.unpack(5 as unknown as bigint), TypeError, "id must be a bigint: got 5");
  });

  it("refuses options out of range, and names option, range and value", () => {
    const refused: [Partial<Record<keyof IdLayoutOptions, unknown>>, string][] = [
      [{ timeBits: 0 }, "timeBits must be an integer from 1 to 53: got 0"],
      [{ timeBits: 54 }, "timeBits must be an integer from 1 to 53: got 54"],
      [{ sequenceBits: -1 }, "sequenceBits must be an integer from 0 to 31: got -1"],
      [{ sequenceBits: 32 }, "sequenceBits must be an integer from 0 to 31: got 32"],
      [{ nodeBits: 32 }, "nodeBits must be an integer from 0 to 31: got 32"],
      [{ nodeBits: NaN }, "nodeBits must be an integer from 0 to 31: got NaN"],
      [{ tickMs: 0 }, "tickMs must be an integer from 1 to 86400000: got 0"],
      [{ epochMs: -1 }, "epochMs must be an integer from 0 to 8640000000000000: got -1"],
      [{ timeBits: 53, sequenceBits: 12 }, "timeBits + sequenceBits + nodeBits must be at most 64: got 67"],
    ];
    for (const [change, message] of refused) {
      assertThrows(() => new IdLayout({ ...SMALL, ...change } as IdLayoutOptions), RangeError, message);
    }
    assertThrows(
      () => new IdLayout({ ...SMALL, timeBits: "3" } as unknown as IdLayoutOptions),
      TypeError,
      'timeBits must be a number from 1 to 53: got "3"',
    );
    assertThrows(
      () => new IdLayout({ ...SMALL, order: "random" } as unknown as IdLayoutOptions),
      TypeError,
      'order must be "sequence-node" or "node-sequence": got "random"',
    );
  });
});

describe("the presets", () => {
  it("give the default as the design draws it", () => {
    const { timeBits, sequenceBits, nodeBits, tickMs, epochMs, order, maxSequence } = DEFAULT_LAYOUT;
    assertEquals([timeBits, sequenceBits, nodeBits, tickMs, order], [37, 17, 10, 1000, "sequence-node"]);
    assertEquals(epochMs, Date.UTC(2020, 0, 1));
    assertEquals(maxSequence + 1, 131_072);
  });

  // Ids that others have published together with what they stand for.
  const published: [LayoutName, string, bigint, { nodeId: number; sequence: number; time: string }][] = [
    // The example of Discord's own documentation: worker 1, process 0, increment 7.
    ["discord", "its documentation", 175928847299117063n, {
      nodeId: 1 << 5,
      sequence: 7,
      time: "2016-04-30T11:18:25.796Z",
    }],
    // A tweet of 2022 that the Wikipedia article on Snowflake ids takes apart.
    ["twitter", "Wikipedia", 1541815603606036480n, { nodeId: 378, sequence: 0, time: "2022-06-28T16:07:40.105Z" }],
    // Worked through in Instagram's article: user 31341 in shard 31341 % 2000 = 1341, the 5001st id of its table.
    ["instagram", "its article", (1387263000n << 23n) | (1341n << 10n) | (5001n % 1024n), {
      nodeId: 1341,
      sequence: 905,
      time: new Date(1314220021721 + 1387263000).toISOString(),
    }],
  ];
  for (const [name, source, id, expected] of published) {
    it(`take apart an id as published: ${name}, ${source}`, () => {
      const layout = LAYOUTS[name];
      const { nodeId, sequence } = layout.unpack(id);
      assertEquals({ nodeId, sequence, time: layout.timestampOf(id).toISOString() }, expected);
    });
  }

  it("have their published widths", () => {
    const widths = Object.fromEntries(
      Object.entries(LAYOUTS).map((
        [name, l],
      ) => [name, [l.timeBits, l.sequenceBits, l.nodeBits, l.totalBits, l.tickMs]]),
    );
    assertEquals(widths, {
      default: [37, 17, 10, 64, 1000],
      wide: [34, 20, 10, 64, 1000],
      dense: [32, 26, 6, 64, 1000],
      number: [32, 13, 8, 53, 1000],
      twitter: [41, 12, 10, 63, 1],
      discord: [42, 12, 10, 64, 1],
      sonyflake: [39, 8, 16, 63, 10],
      instagram: [41, 10, 13, 64, 1],
    });
    assert(LAYOUTS.number.pack({ tick: 2 ** 32 - 1, sequence: 8191, nodeId: 255 }) === BigInt(Number.MAX_SAFE_INTEGER));
  });

  it("refuses an epoch in seconds", () => {
    const epoch = (epochMs: number) => () => new IdLayout({ ...SMALL, epochMs });
    for (const seconds of [1_000_000_000, 1_577_836_800, 9_999_999_999]) {
      assertThrows(epoch(seconds), RangeError, `${seconds} looks like seconds: write ${seconds}000`);
    }
    for (const ms of [0, 999_999_999, 10_000_000_000, 1_577_836_800_000]) epoch(ms)();
  });

  it("has a lowest and a highest id of every time", () => {
    for (const layout of Object.values(LAYOUTS)) {
      const { epochMs, tickMs, maxTick, totalBits } = layout;
      for (const tick of [0, 1, 2, 12_345, 2 ** 31, maxTick - 1, maxTick].filter((tick) => tick <= maxTick)) {
        const beginMs = epochMs + tick * tickMs;
        const [lowest, highest] = [layout.lowestIdAt(beginMs), layout.highestIdAt(beginMs)];
        assertEquals(layout.unpack(lowest), { tick, sequence: 0, nodeId: 0 });
        assertEquals(layout.unpack(highest), { tick, sequence: layout.maxSequence, nodeId: layout.maxNodeId });
        assertEquals(layout.lowestIdAt(beginMs + tickMs - 0.5), lowest);
        assertEquals(layout.highestIdAt(beginMs + tickMs - 0.5), highest);
        if (tick < maxTick) {
          assertEquals(layout.lowestIdAt(beginMs + tickMs), highest + 1n, "no id lies between two ticks");
        }
      }
      assertEquals(layout.lowestIdAt(epochMs), 0n);
      assertEquals(layout.highestIdAt(epochMs + maxTick * tickMs), 2n ** BigInt(totalBits) - 1n);
    }
  });

  it("has a key of a fixed form, by which a record means it, and so does the sentence of older records", () => {
    assertEquals(
      DEFAULT_LAYOUT.key,
      "v1 time=37 sequence=17 node=10 order=sequence-node tick_ms=1000 epoch_ms=1577836800000",
    );
    assertEquals(
      LAYOUTS.twitter.key,
      "v1 time=41 sequence=12 node=10 order=node-sequence tick_ms=1 epoch_ms=1288834974657",
    );
    const sentence = "37/17/10 sequence-node, ticks of 1000 ms since 2020-01-01T00:00:00.000Z";
    assertEquals([DEFAULT_LAYOUT.isRecordedAs(DEFAULT_LAYOUT.key), DEFAULT_LAYOUT.isRecordedAs(sentence)], [
      true,
      true,
    ]);
    for (const text of ["", "default", sentence.toUpperCase(), DEFAULT_LAYOUT.key.replace("v1", "v2")]) {
      assert(!DEFAULT_LAYOUT.isRecordedAs(text));
    }
  });

  it("has the key of another layout if and only if their ids mean the same", () => {
    const anyOptions: fc.Arbitrary<Required<IdLayoutOptions>> = fc.record({
      timeBits: fc.integer({ min: 1, max: 2 }),
      sequenceBits: fc.integer({ min: 0, max: 1 }),
      nodeBits: fc.integer({ min: 0, max: 1 }),
      tickMs: fc.constantFrom(1, 10, 86_400_000),
      epochMs: fc.constantFrom(0, 1, 8.64e15),
      order: fc.constantFrom("sequence-node", "node-sequence"),
    });
    fc.assert(
      fc.property(anyOptions, anyOptions, (some, other) => {
        const [a, b] = [new IdLayout(some), new IdLayout(other)];
        const isSame = Object.entries(some).every(([name, value]) => other[name as keyof IdLayoutOptions] === value);
        assertEquals([a.isRecordedAs(b.key), a.isRecordedAs(`${b}`)], [isSame, isSame]);
      }),
      { numRuns: 2000 },
    );
  });

  it("takes a Date or milliseconds, and refuses times that it has no ids for", () => {
    const layout = new IdLayout(SMALL);
    assertEquals(layout.lowestIdAt(new Date(1010)), layout.lowestIdAt(1010));
    const allowed = "time must be from 1970-01-01T00:00:01.000Z to 1970-01-01T00:00:01.079Z";
    assertThrows(() => layout.lowestIdAt(999), RangeError, `${allowed}: got 1970-01-01T00:00:00.999Z`);
    assertThrows(() => layout.highestIdAt(new Date(1080)), RangeError, `${allowed}: got 1970-01-01T00:00:01.080Z`);
    assertThrows(() => layout.lowestIdAt(NaN), RangeError, `${allowed}: got NaN ms`);
    assertThrows(() => layout.lowestIdAt(new Date("no date")), RangeError, `${allowed}: got NaN ms`);
    assertThrows(() => layout.highestIdAt(1e300), RangeError, `${allowed}: got 1e+300 ms`);
    assertThrows(
      () => layout.lowestIdAt("2030" as unknown as Date),
      TypeError,
      'time must be a Date or milliseconds: got "2030"',
    );
  });
});
