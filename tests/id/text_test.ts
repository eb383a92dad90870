import { assertEquals, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { formatId, type IdForm, parseId } from "../../mod.ts";

const WIDTHS: Record<IdForm, number> = { decimal: 20, hex: 16, base32: 13, base62: 11 };
const FORMS = Object.keys(WIDTHS) as IdForm[];
const MAX_ID = 2n ** 64n - 1n;

/**
 * The powers of two and their neighbours, and a walk through the whole range in strides that share no factor with it.
 */
const SAMPLE: bigint[] = [];
for (let bit = 0n; bit < 64n; bit++) SAMPLE.push((1n << bit) - 1n, 1n << bit, (1n << bit) + 1n);
for (let i = 0n, id = 0n; i < 500n; i++, id = BigInt.asUintN(64, id + 0x9e3779b97f4a7c15n)) SAMPLE.push(id);
SAMPLE.push(MAX_ID - 1n, MAX_ID);
SAMPLE.sort((a, b) => a < b ? -1 : a > b ? 1 : 0);

describe("formatId and parseId", () => {
  for (const form of FORMS) {
    it(`${form}: there and back, always of one width, in the order of the ids`, () => {
      const texts = SAMPLE.map((id) => formatId(id, form));
      assertEquals(texts.map((text) => parseId(text, form)), SAMPLE);
      assertEquals(new Set(texts.map((text) => text.length)), new Set([WIDTHS[form]]));
      assertEquals(texts.toSorted(), texts);
    });
  }

  it("write the corners as their alphabets say", () => {
    assertEquals(FORMS.map((form) => formatId(0n, form)), [
      "00000000000000000000",
      "0000000000000000",
      "0000000000000",
      "00000000000",
    ]);
    assertEquals(FORMS.map((form) => formatId(MAX_ID, form)), [
      "18446744073709551615",
      "ffffffffffffffff",
      "FZZZZZZZZZZZZ",
      "LygHa16AHYF",
    ]);
    assertEquals(FORMS.map((form) => formatId(61n, form).slice(-2)), ["61", "3d", "1X", "0z"]);
  });

  it("read what people write", () => {
    assertEquals(parseId("42"), 42n);
    assertEquals(parseId("0x00000000DeadBeef", "hex"), 0xdeadbeefn);
    assertEquals(parseId("0XFFFFFFFFFFFFFFFF", "hex"), MAX_ID);
    assertEquals(parseId("oOiIlL000000z", "base32"), parseId("001111000000Z", "base32"));
    assertEquals(parseId("128G-GYHY-YK08-N", "base32"), 1234567890123456789n);
    assertEquals(parseId("1-2-8-G-G-Y-H-Y-Y-K-0-8-N", "base32"), 1234567890123456789n);
  });

  const refused: [IdForm, string, string][] = [
    ["decimal", "", "an id as decimal is 1 to 20 decimal digits: got"],
    ["decimal", "-1", "an id as decimal is 1 to 20 decimal digits: got"],
    ["decimal", "1e3", "an id as decimal is 1 to 20 decimal digits: got"],
    ["decimal", "123456789012345678901", "an id as decimal is 1 to 20 decimal digits: got"],
    ["decimal", "12\n", "an id as decimal is 1 to 20 decimal digits: got"],
    [
      "decimal",
      "18446744073709551616",
      "id must be from 0 to 18446744073709551615 (64 bits): got 18446744073709551616",
    ],
    ["hex", "fffffffffffffff", "an id as hex is 16 hexadecimal digits, after 0x or not: got"],
    ["hex", "000000000000000g", "an id as hex is 16 hexadecimal digits, after 0x or not: got"],
    ["base32", "000000000000", "an id as base32 is 13 symbols of Crockford's base32, with hyphens between"],
    ["base32", "000000000000U", "an id as base32 is 13 symbols of Crockford's base32, with hyphens between"],
    ["base32", "-0000000000000", "an id as base32 is 13 symbols"],
    ["base32", "0000000000000-", "an id as base32 is 13 symbols"],
    ["base32", "0-000000000000-0", "an id as base32 is 13 symbols"],
    ["base32", "000000--0000000", "an id as base32 is 13 symbols"],
    ["base32", "G000000000000", "id must be from 0 to 18446744073709551615 (64 bits): got 18446744073709551616"],
    ["base62", "0000000000", "an id as base62 is 11 digits and letters: got"],
    ["base62", "0000000000-", "an id as base62 is 11 digits and letters: got"],
    ["base62", "LygHa16AHYG", "id must be from 0 to 18446744073709551615 (64 bits): got 18446744073709551616"],
  ];
  for (const [form, text, message] of refused) {
    it(`refuse ${JSON.stringify(text)} as ${form}`, () => {
      assertThrows(() => parseId(text, form), Error, message);
    });
  }

  it("refuse what is not text, no id, or no form", () => {
    assertThrows(() => parseId(42 as unknown as string), TypeError, "text must be a string: got 42");
    assertThrows(() => formatId(42 as unknown as bigint), TypeError, "id must be a bigint: got 42");
    assertThrows(() => formatId(-1n), RangeError, "id must be from 0 to 18446744073709551615 (64 bits): got -1");
    assertThrows(() => formatId(MAX_ID + 1n, "base62"), RangeError, "got 18446744073709551616");
    for (const form of ["base64", "toString"] as unknown as IdForm[]) {
      assertThrows(() => formatId(1n, form), TypeError, "form must be one of decimal, hex, base32, base62: got");
      assertThrows(() => parseId("1", form), TypeError, "form must be one of decimal, hex, base32, base62: got");
    }
  });
});
