import { Random } from "./random.ts";

/** A key, another one for every number. */
export function keyOf(number: number, length = 32): Uint8Array<ArrayBuffer> {
  return new Random(1000 + number).bytes(length);
}
