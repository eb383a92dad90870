import { assert, assertEquals, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { checkKey } from "../../lib/access/key.ts";
import { keyOf } from "./keys.ts";

const encoder = new TextEncoder();

/** Bytes that a function gives by their index. */
function bytesOf(byteAt: (index: number) => number, length = 32): Uint8Array<ArrayBuffer> {
  return Uint8Array.from({ length }, (_, i) => byteAt(i));
}

describe("checkKey", () => {
  it("accepts random keys of 32 bytes and more", () => {
    for (let number = 0; number < 2000; number++) checkKey(keyOf(number));
    for (let length = 32; length <= 200; length++) assertEquals(checkKey(keyOf(1, length)).length, length);
    for (let i = 0; i < 2000; i++) checkKey(crypto.getRandomValues(new Uint8Array(32)));
  });

  const random16 = keyOf(1, 16);
  const weak: [string, Uint8Array, string][] = [
    ["zeros", new Uint8Array(32), "has the same few bytes again and again"],
    ["one byte", new Uint8Array(64).fill(0xa5), "has the same few bytes again and again"],
    ["16 random bytes twice", Uint8Array.of(...random16, ...random16), "has the same few bytes again and again"],
    ["15 random bytes, then zeros", Uint8Array.of(...keyOf(2, 15), ...new Uint8Array(17)), "has the same few bytes"],
    ["a word, then zeros", Uint8Array.of(...encoder.encode("sésame"), ...new Uint8Array(26)), "has the same few bytes"],
    ["bytes that count up", bytesOf((i) => i), "goes from byte to byte in the same few steps"],
    ["bytes that count down", bytesOf((i) => 255 - 3 * i), "goes from byte to byte in the same few steps"],
    ["counting up past the last byte", bytesOf((i) => 250 + 7 * i, 40), "goes from byte to byte in the same few steps"],
    ["digits that nobody decoded", encoder.encode(keyOf(1).toHex()), "is text (if that is the digits of a key, decode"],
    ["base64 that nobody decoded", encoder.encode(keyOf(1).toBase64()), "is text"],
    ["a sentence", encoder.encode("correct horse battery staple, and\na line of it more"), "is text"],
  ];
  for (const [what, key, why] of weak) {
    it(`refuses ${what}, and does not show the key`, () => {
      const { message } = assertThrows(() => checkKey(key, "k"), RangeError, `a key is random bytes, and k ${why}`);
      assert(!message.includes(key.toHex()) && !message.includes(new TextDecoder().decode(key)));
    });
  }

  it("refuses a short key", () => {
    for (const length of [0, 1, 31]) {
      const message = `a key has at least 32 bytes, and key has ${length}`;
      assertEquals(assertThrows(() => checkKey(keyOf(1, length)), RangeError).message, message);
    }
  });

  it("refuses what is no bytes, and does not show it", () => {
    const secret = keyOf(1).toHex();
    for (const key of [secret, [...keyOf(1)], null, undefined, new Uint16Array(32)]) {
      const error = assertThrows(() => checkKey(key as unknown as Uint8Array), TypeError, "key must be a Uint8Array");
      assert(!error.message.includes(secret));
    }
  });
});
