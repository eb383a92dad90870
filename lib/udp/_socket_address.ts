import { linux } from "../libc/libc.ts";
import { hasZone, parseIpAddress } from "./ip_address.ts";

/** The length of `struct sockaddr_in6`, the longest of the addresses here. */
export const MAX_ADDRESS_BYTES = 28;

/**
 * An address as the kernel has it: `struct sockaddr_in` (16 bytes) or `struct sockaddr_in6` (28 bytes). Family and scope
 * are in the machine's byte order, which on all of Deno's platforms is little-endian; port and address are big-endian.
 *
 * @param hostname An IPv4 or IPv6 address, without a zone.
 * @throws {TypeError} If it is not one.
 */
export function encodeAddress(hostname: string, port: number): Uint8Array<ArrayBuffer> {
  const ip = parseIpAddress(hostname);
  if (ip === undefined || hasZone(ip)) {
    throw new TypeError(`hostname must be an IPv4 or IPv6 address: got ${JSON.stringify(hostname)}`);
  }
  const isIPv4 = ip.kind() === "ipv4";
  const address = new Uint8Array(isIPv4 ? 16 : MAX_ADDRESS_BYTES);
  const view = new DataView(address.buffer);
  view.setUint16(0, isIPv4 ? linux.AF_INET : linux.AF_INET6, true);
  view.setUint16(2, port);
  address.set(ip.toByteArray(), isIPv4 ? 4 : 8);
  return address;
}

/** The port of an address as the kernel has it. */
export function portOf(address: Uint8Array): number {
  return address[2] << 8 | address[3];
}
