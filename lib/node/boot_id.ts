import { cString, openLibc } from "../libc/libc.ts";

/** See random(4). Deno itself reads this file only with every permission. */
const PATH = "/proc/sys/kernel/random/boot_id";
const O_RDONLY_CLOEXEC = 0o2000000;

/**
 * Reads the id of the system's present boot. No other boot of any system has the same id.
 *
 * @returns The id; `undefined` if the system does not tell it.
 * @throws {Deno.errors.NotCapable | Deno.errors.NotSupported} If libc cannot be opened: see `openLibc`.
 */
export function readBootId(): string | undefined {
  const libc = openLibc();
  const fd = libc.open(cString(PATH), O_RDONLY_CLOEXEC, 0);
  if (fd < 0) return undefined;
  const buffer = new Uint8Array(64);
  const length = Number(libc.read(fd, buffer, BigInt(buffer.length)));
  libc.close(fd);
  const text = new TextDecoder().decode(buffer.subarray(0, Math.max(length, 0))).trim();
  return text === "" ? undefined : text;
}
