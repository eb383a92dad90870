import ipaddr from "ipaddr.js";

/** An IPv4 address, or an IPv6 address with or without a zone. */
export type IpAddress = ipaddr.IPv4 | ipaddr.IPv6;

/**
 * Reads an IP address, in the forms that everybody reads alike: four decimal numbers, or IPv6.
 *
 * @returns The address; `undefined` if it is none, such as a name, or one of the forms of old (`127.1`, `0x7f.0.0.1`).
 */
export function parseIpAddress(text: string): IpAddress | undefined {
  if (!ipaddr.IPv4.isValidFourPartDecimal(text) && !ipaddr.IPv6.isValid(text)) return undefined;
  return ipaddr.parse(text);
}

/** Whether an address that is not `undefined` names a network interface as well (`fe80::1%eth0`). */
export function hasZone(address: IpAddress): boolean {
  return address instanceof ipaddr.IPv6 && address.zoneId !== undefined;
}

/** Whether only this machine reaches the address. */
export function isLoopback(address: IpAddress): boolean {
  const plain = address instanceof ipaddr.IPv6 && address.isIPv4MappedAddress() ? address.toIPv4Address() : address;
  return plain.range() === "loopback";
}
