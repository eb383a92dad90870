import { assertLessOrEqual, assertMatch } from "@std/assert";
import { describe, it } from "@std/testing/bdd";

/** The longest description of a package on JSR, in characters. */
const MAX_CHARACTERS = 250;

describe("README.md", () => {
  it("begins with a sentence that fits the field for the package's description on JSR", async () => {
    const text = await Deno.readTextFile(new URL("../../README.md", import.meta.url));
    const [, paragraph] = text.split("\n\n");
    const [sentence] = paragraph.replaceAll("\n", " ").split(". ");
    assertMatch(sentence, /^64-bit ids/);
    assertLessOrEqual(sentence.length, MAX_CHARACTERS);
  });
});
