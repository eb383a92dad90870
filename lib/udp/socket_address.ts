/**
 * The addresses of sockets as the kernel has them:
 *
 *     struct sockaddr_in {               struct sockaddr_in6 {
 *       sa_family_t sin_family;  // 0      sa_family_t sin6_family;    //  0
 *       in_port_t   sin_port;    // 2      in_port_t   sin6_port;      //  2
 *       uint8_t     sin_addr[4]; // 4      uint32_t    sin6_flowinfo;  //  4
 *       uint8_t     sin_zero[8]; // 8      uint8_t     sin6_addr[16];  //  8
 *     };                                   uint32_t    sin6_scope_id;  // 24
 *                                        };
 *
 * Family and scope are in the machine's byte order, which is little-endian on all of Deno's platforms. Port and address
 * are big-endian.
 *
 * @module
 */
import { linux } from "../libc/libc.ts";
import { hasZone, parseIpAddress } from "./ip_address.ts";

/** The byte order of the kernel, on all machines that Deno runs on. */
const LITTLE_ENDIAN = true;

const SOCKADDR_IN_BYTES = 16;
const SOCKADDR_IN6_BYTES = 28;

/** The length of the longest address, in bytes. */
export const MAX_ADDRESS_BYTES = SOCKADDR_IN6_BYTES;

/** The offset of the family in both structures. */
export const FAMILY = 0;
/** The offset of the port in both structures. */
export const PORT = 2;
/** The offset of the address in a `struct sockaddr_in`. */
export const IPV4_ADDRESS = 4;
/** The offset of the address in a `struct sockaddr_in6`. */
export const IPV6_ADDRESS = 8;

/**
 * Encodes an address as a `struct sockaddr_in` or a `struct sockaddr_in6`.
 *
 * @param hostname An IPv4 or IPv6 address, without a zone.
 * @param port The port.
 * @returns The structure.
 * @throws {TypeError} If the hostname is not such an address.
 */
export function encodeAddress(hostname: string, port: number): Uint8Array<ArrayBuffer> {
  const ip = parseIpAddress(hostname);
  if (ip === undefined || hasZone(ip)) {
    throw new TypeError(`hostname must be an IPv4 or IPv6 address: got ${JSON.stringify(hostname)}`);
  }
  const isIPv4 = ip.kind() === "ipv4";
  const address = new Uint8Array(isIPv4 ? SOCKADDR_IN_BYTES : SOCKADDR_IN6_BYTES);
  const view = new DataView(address.buffer);
  view.setUint16(FAMILY, isIPv4 ? linux.AF_INET : linux.AF_INET6, LITTLE_ENDIAN);
  view.setUint16(PORT, port);
  address.set(ip.toByteArray(), isIPv4 ? IPV4_ADDRESS : IPV6_ADDRESS);
  return address;
}

/** Whether an address stands for all addresses of this machine: `0.0.0.0`, `::`, or `::ffff:0.0.0.0`. */
export function isUnspecified(address: Uint8Array): boolean {
  const isIPv4 = address.length === SOCKADDR_IN_BYTES;
  const ip = isIPv4 ? address.slice(IPV4_ADDRESS, IPV4_ADDRESS + 4) : address.slice(IPV6_ADDRESS, IPV6_ADDRESS + 16);
  if (!isIPv4 && ip[10] === 0xff && ip[11] === 0xff) ip[10] = ip[11] = 0;
  return ip.every((byte) => byte === 0);
}

/** Makes a copy of a `struct sockaddr_in` or `struct sockaddr_in6` with another port. */
export function withPort(address: Uint8Array, port: number): Uint8Array<ArrayBuffer> {
  const copy = Uint8Array.from(address);
  new DataView(copy.buffer).setUint16(PORT, port);
  return copy;
}

/** Reads the port of a `struct sockaddr_in` or `struct sockaddr_in6`. */
export function portOf(address: Uint8Array): number {
  return address[PORT] << 8 | address[PORT + 1];
}
