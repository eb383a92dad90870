import ipaddr from "ipaddr.js";

/** An IPv4 address, or an IPv6 address with or without a zone. */
export type IpAddress = ipaddr.IPv4 | ipaddr.IPv6;

/**
 * Reads an IP address in a form that all programs read alike: four decimal numbers, or IPv6.
 *
 * @returns The address; `undefined` for a name, and for the legacy forms of IPv4 (`127.1`, `0x7f.0.0.1`).
 */
export function parseIpAddress(text: string): IpAddress | undefined {
  if (!ipaddr.IPv4.isValidFourPartDecimal(text) && !ipaddr.IPv6.isValid(text)) return undefined;
  return ipaddr.parse(text);
}

/** Whether an address names a network interface as well (`fe80::1%eth0`). */
export function hasZone(address: IpAddress): boolean {
  return address instanceof ipaddr.IPv6 && address.zoneId !== undefined;
}

/** Whether the address is a loopback address, which only this machine reaches. */
export function isLoopback(address: IpAddress): boolean {
  const plain = address instanceof ipaddr.IPv6 && address.isIPv4MappedAddress() ? address.toIPv4Address() : address;
  return plain.range() === "loopback";
}
