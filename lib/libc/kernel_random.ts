import { openLibc, systemError } from "./libc.ts";

/**
 * Fills an array with random bytes of the kernel's: see getrandom(2). A runtime's own come from a generator in user
 * space, whose state a copied virtual machine shares with the original.
 *
 * @param bytes The array, at most 256 bytes: the kernel fills so many at once.
 * @throws {Error} If the kernel has none.
 */
export function fillKernelRandom(bytes: Uint8Array<ArrayBuffer>): void {
  const libc = openLibc();
  if (Number(libc.getrandom(bytes, BigInt(bytes.length), 0)) !== bytes.length) {
    throw systemError(libc, "the kernel has no random bytes");
  }
}
