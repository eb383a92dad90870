import fc from "fast-check";

/**
 * Any character of Unicode, as the unit of a string. It is what fast-check has as "binary", which makes a list of all
 * characters first and takes 1.5 s for it, more than most of the tests.
 */
export const ANY_CHARACTER: fc.Arbitrary<string> = fc.oneof(
  fc.integer({ min: 0, max: 0xd7ff }),
  fc.integer({ min: 0xe000, max: 0x10ffff }),
).map((code) => String.fromCodePoint(code));
