/** Fills an array with random bytes. */
export type FillRandom = (bytes: Uint8Array<ArrayBuffer>) => void;

/** How many random bytes a token has. */
const RANDOM_BYTES = 9;

/**
 * Makes a text that nobody else makes: the time and 72 random bits, as 32 hexadecimal digits.
 *
 * The time is there for memories that are copied while they run, as a virtual machine is that two machines resume from
 * one snapshot. The copies share all that user space knows, and so the state of its random numbers.
 *
 * @param fillRandom Where random bytes come from. The kernel's are better than a runtime's, which may come from a
 * generator in user space.
 */
export function uniqueToken(fillRandom: FillRandom = fillRuntimeRandom): string {
  const random = new Uint8Array(RANDOM_BYTES);
  fillRandom(random);
  const milliseconds = hex(Date.now(), 11); // until the year 2527
  const fraction = hex(Math.floor(performance.now() * 1000) % 0x1000, 3);
  return milliseconds + fraction + Array.from(random, (byte) => hex(byte, 2)).join("");
}

/** Fills an array with random bytes of the runtime's. */
export function fillRuntimeRandom(bytes: Uint8Array<ArrayBuffer>): void {
  crypto.getRandomValues(bytes);
}

function hex(value: number, digits: number): string {
  return value.toString(16).padStart(digits, "0").slice(-digits);
}
