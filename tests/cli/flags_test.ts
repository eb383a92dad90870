import { assert, assertEquals, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { integerFlag, readFlags, UsageError, wordFlag } from "../../lib/cli/flags.ts";

const NAMES = { string: ["port", "host"], boolean: ["help"] } as const;

describe("readFlags", () => {
  it("reads both ways of writing a value", () => {
    const { port, host, help } = readFlags(["--port", "1", "--host=a"], NAMES);
    assertEquals([port, host, help], ["1", "a", false]);
    assert(readFlags(["--help"], NAMES).help);
    assertEquals(readFlags([], NAMES).port, undefined);
  });

  it("reads a list, in the order of the command line", () => {
    const names = { ...NAMES, list: ["allow"] } as const;
    assertEquals(readFlags(["--allow", "a", "--port", "1", "--allow=b"], names).allow, ["a", "b"]);
    assertEquals(readFlags([], names).allow, []);
    assertThrows(() => readFlags(["--allow", "a", "--allow", "--help"], names), UsageError, "--allow needs a value");
  });

  for (const args of [["--prot", "1"], ["-p", "1"], ["serve"], ["--help", "me"], ["--port", "1", "2"]]) {
    it(`refuses what is no flag: ${args.join(" ")}`, () => {
      assertThrows(() => readFlags(args, NAMES), UsageError, "is not a flag of this command: there are --port, --host");
    });
  }

  for (const args of [["--port"], ["--port="], ["--port", "--help"]]) {
    it(`refuses a flag without its value: ${args.join(" ")}`, () => {
      assertThrows(() => readFlags(args, NAMES), UsageError, "--port needs a value");
    });
  }
});

describe("integerFlag", () => {
  it("reads decimal digits within the range", () => {
    assertEquals(integerFlag("n", "0", { min: 0, max: 9 }), 0);
    assertEquals(integerFlag("n", "9", { min: 0, max: 9 }), 9);
    assertEquals(integerFlag("n", undefined, { min: 0, max: 9 }), undefined);
  });

  for (const text of ["-1", "10", "1.5", "1e0", "0x1", " 1", "one", "999999999999999999999"]) {
    it(`refuses ${JSON.stringify(text)}`, () => {
      const message = `--n must be an integer from 0 to 9: got ${JSON.stringify(text)}`;
      assertThrows(() => integerFlag("n", text, { min: 0, max: 9 }), UsageError, message);
    });
  }
});

describe("wordFlag", () => {
  it("reads one of the words", () => {
    assertEquals(wordFlag("w", "b", ["a", "b"]), "b");
    assertEquals(wordFlag("w", undefined, ["a", "b"]), undefined);
  });

  it("refuses any other", () => {
    assertThrows(() => wordFlag("w", "c", ["a", "b"]), UsageError, '--w must be one of a, b: got "c"');
  });
});
