/**
 * The structures that describe messages to the kernel, on 64-bit Linux: sizes, and offsets of their fields, in bytes.
 * See `sendmmsg(2)`, `cmsg(3)` and `udp(7)`.
 *
 * @module
 */

/**
 * The size of a `struct mmsghdr`:
 *
 *     struct msghdr {
 *       void         *msg_name;        //  0: the address of the sender or receiver
 *       socklen_t     msg_namelen;     //  8, and 4 bytes of padding
 *       struct iovec *msg_iov;         // 16
 *       size_t        msg_iovlen;      // 24
 *       void         *msg_control;     // 32: a struct cmsghdr
 *       size_t        msg_controllen;  // 40
 *       int           msg_flags;       // 48, and 4 bytes of padding
 *     };
 *     struct mmsghdr {
 *       struct msghdr msg_hdr;         //  0
 *       unsigned int  msg_len;         // 56: the number of bytes received, and 4 bytes of padding
 *     };
 */
export const MMSGHDR_BYTES = 64;
/** The offsets of the fields of a `struct mmsghdr`. */
export const mmsghdr = {
  name: 0,
  nameLength: 8,
  iovecs: 16,
  iovecCount: 24,
  control: 32,
  controlLength: 40,
  received: 56,
} as const;

/**
 * The size of a `struct iovec`:
 *
 *     struct iovec {
 *       void  *iov_base;  // 0
 *       size_t iov_len;   // 8
 *     };
 */
export const IOVEC_BYTES = 16;
/** The offsets of the fields of a `struct iovec`. */
export const iovec = { base: 0, length: 8 } as const;

/**
 * The size of a `struct cmsghdr` with the length of a segment behind it, padded to a multiple of 8:
 *
 *     struct cmsghdr {
 *       size_t cmsg_len;         //  0: without the padding
 *       int    cmsg_level;       //  8
 *       int    cmsg_type;        // 12
 *       uint16_t or int length;  // 16: 2 bytes for UDP_SEGMENT, 4 bytes for UDP_GRO
 *     };
 */
export const CONTROL_BYTES = 24;
/** The offsets of the fields of a `struct cmsghdr` and of the length behind it. */
export const cmsghdr = { length: 0, level: 8, type: 12, value: 16 } as const;

/**
 * The distance between two addresses: `struct sockaddr_in6` has 28 bytes, and each address begins at a multiple of its
 * alignment.
 */
export const ADDRESS_STRIDE = 32;
