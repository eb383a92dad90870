/**
 * The structures of 64-bit Linux in which messages are described to the kernel: sizes, and offsets of their fields, in bytes. See
 * `sendmmsg(2)`, `cmsg(3)` and `udp(7)`.
 *
 * @module
 */

/** `struct mmsghdr`: a `struct msghdr`, and how many bytes were received. */
export const MMSGHDR_BYTES = 64;
/** Where its fields are. */
export const mmsghdr = {
  name: 0,
  nameLength: 8,
  iovecs: 16,
  iovecCount: 24,
  control: 32,
  controlLength: 40,
  received: 56,
} as const;

/** `struct iovec`. */
export const IOVEC_BYTES = 16;
/** Where its fields are. */
export const iovec = { base: 0, length: 8 } as const;

/** `struct cmsghdr`, an integer of 2 bytes (UDP_SEGMENT) or 4 (UDP_GRO) behind it, and what makes it a multiple of 8. */
export const CONTROL_BYTES = 24;
/** Where its fields are. */
export const cmsghdr = { length: 0, level: 8, type: 12, value: 16 } as const;

/** `struct sockaddr_in6` (28 bytes), so far apart that every address begins at a multiple of its alignment. */
export const ADDRESS_STRIDE = 32;
