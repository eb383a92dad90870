import { assert, assertEquals, assertMatch } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import fc from "fast-check";
import { printable } from "../../lib/base/printable.ts";
import { ANY_CHARACTER } from "../any_character.ts";

describe("printable", () => {
  it("leaves text as it is, in any language", () => {
    for (const text of ["", "worker 1 died", "/tmp/ümläute/日本語/עברית/🆔", "a\\nb 'c' \"d\""]) {
      assertEquals(printable(text), text);
    }
  });

  it("escapes what a terminal would obey, and what would begin another line", () => {
    assertEquals(printable("\x1b[2J\x1b]0;title\x07"), "\\x1b[2J\\x1b]0;title\\x07");
    assertEquals(printable("died\nglobal-id: all is well\r\t"), "died\\nglobal-id: all is well\\x0d\\x09");
    assertEquals(printable("\x9b31m\x7f\u2028\u2029\ufeff"), "\\x9b31m\\x7f\\u2028\\u2029\\ufeff");
  });

  it("escapes what would turn the direction of the text", () => {
    assertEquals(printable("key\u202e txt.exe\u2066\u200f"), "key\\u202e txt.exe\\u2066\\u200f");
  });

  it("makes one line of whatever it is given, and of moderate length", () => {
    fc.assert(fc.property(fc.string({ unit: ANY_CHARACTER, size: "large" }), (text) => {
      assertMatch(printable(text), /^[^\p{Cc}\p{Zl}\p{Zp}\p{Cs}]*$/u);
    }));
    assert(printable("x".repeat(10_000_000)).length < 5000);
    assert(printable("\x1b".repeat(10_000_000)).length < 20_000);
  });
});
