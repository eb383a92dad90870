/** The minimum length of a key in bytes. A shorter key would be weaker than the MAC. */
export const MIN_KEY_BYTES = 32;

/** How many different bytes a key must have, and how many different steps from one byte to the next. */
const MIN_DISTINCT = 17;

/**
 * Checks that a key may be a random one.
 *
 * Refused are keys that somebody typed, or that were meant as an example: text (a password, or the hexadecimal digits
 * of a key that nobody decoded), fewer than 17 different bytes (all zeros, a word and zeros, up to 16 bytes again and
 * again), and fewer than 17 different steps from byte to byte, modulo 256 (00 01 02 ...). Of random keys of 32 bytes,
 * the three rules refuse 4.5e-14, 2.2e-15 and 2.8e-14: less than one in 10 million million. Longer ones are refused
 * less often.
 *
 * A key that passes may still be a bad one: nobody can tell what the bytes were made from.
 *
 * @param key The key.
 * @param name The name of the key in messages, such as the path of its file.
 * @returns The key.
 * @throws {TypeError} If the key is not an array of bytes.
 * @throws {RangeError} If the key is too short, or one that was not made at random. The message does not show the key.
 */
export function checkKey<K extends Uint8Array>(key: K, name = "key"): K {
  if (!(key instanceof Uint8Array)) throw new TypeError(`${name} must be a Uint8Array: got a value of another type`);
  if (key.length < MIN_KEY_BYTES) {
    throw new RangeError(`a key has at least ${MIN_KEY_BYTES} bytes, and ${name} has ${key.length}`);
  }
  const weakness = weaknessOf(key);
  if (weakness !== undefined) throw new RangeError(`a key is random bytes, and ${name} ${weakness}`);
  return key;
}

function weaknessOf(key: Uint8Array): string | undefined {
  if (key.every(isText)) return "is text (if that is the digits of a key, decode them first)";
  if (new Set(key).size < MIN_DISTINCT) return "has the same few bytes again and again";
  const steps = key.subarray(1).map((byte, i) => byte - key[i]);
  if (new Set(steps).size < MIN_DISTINCT) return "goes from byte to byte in the same few steps";
  return undefined;
}

/** Whether a byte occurs in lines of ASCII text. */
function isText(byte: number): boolean {
  return byte >= 0x20 && byte <= 0x7e || byte === 0x09 || byte === 0x0a || byte === 0x0d;
}
