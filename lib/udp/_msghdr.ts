/**
 * The structures that describe messages to the kernel, on 64-bit Linux: sizes, and offsets of their fields, in bytes.
 * See `sendmmsg(2)`, `cmsg(3)` and `udp(7)`.
 *
 * @module
 */
import { linux } from "../libc/libc.ts";

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
export const SEGMENT_CONTROL_BYTES = 24;
/** The offsets of the fields of a `struct cmsghdr` and of the length behind it. */
export const cmsghdr = { length: 0, level: 8, type: 12, value: 16 } as const;

/** How control data name this machine's address of a message: see `RawSocket.useLocalAddresses`. */
export interface PacketInfo {
  /** The level and the type of the control data. */
  readonly level: number;
  readonly type: number;
  /** The length of the control data without the padding at the end, in bytes. */
  readonly length: number;
  /** The same with the padding. */
  readonly bytes: number;
  /** The offset of the address in the control data. */
  readonly address: number;
  /** The length of the address in 32-bit words. */
  readonly addressWords: number;
}

/**
 * The control data with a `struct in_pktinfo`:
 *
 *     struct cmsghdr …;              //  0
 *     int            ipi_ifindex;    // 16: received: the network interface; sent: 0, any
 *     struct in_addr ipi_spec_dst;   // 20: received: the address to answer from; sent: the address to send from
 *     struct in_addr ipi_addr;       // 24: received: the address that the sender named; sent: not used
 */
export const IPV4_PACKET_INFO: PacketInfo = {
  level: linux.SOL_IP,
  type: linux.IP_PKTINFO,
  length: 28,
  bytes: 32,
  address: 20,
  addressWords: 1,
};

/**
 * The control data with a `struct in6_pktinfo`:
 *
 *     struct cmsghdr  …;             //  0
 *     struct in6_addr ipi6_addr;     // 16: received: the address that the sender named; sent: the one to send from
 *     unsigned int    ipi6_ifindex;  // 32: as above
 */
export const IPV6_PACKET_INFO: PacketInfo = {
  level: linux.SOL_IPV6,
  type: linux.IPV6_PKTINFO,
  length: 36,
  bytes: 40,
  address: 16,
  addressWords: 4,
};

/** No such control data. */
export const NO_PACKET_INFO: PacketInfo = { level: 0, type: 0, length: 0, bytes: 0, address: 0, addressWords: 0 };

/**
 * The distance between the control data of two messages: room for the length of a segment and for the longest
 * {@linkcode PacketInfo}.
 */
export const CONTROL_STRIDE = 64;

/**
 * The distance between two addresses: `struct sockaddr_in6` has 28 bytes, and each address begins at a multiple of its
 * alignment.
 */
export const ADDRESS_STRIDE = 32;
