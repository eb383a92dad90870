import ipaddr from "ipaddr.js";
import { SourceAddress } from "../../lib/udp/source_address.ts";
import { bytes } from "../wire/bytes.ts";

/** A `struct sockaddr_in` for 4 bytes of an address, a `struct sockaddr_in6` for 16; its other fields are noise. */
export function sockaddr(address: ArrayLike<number>): DataView {
  const head = address.length === 4 ? "0200 1f90" : "0a00 1f90 01234567";
  const end = address.length === 4 ? "eeeeeeeeeeeeeeee" : "02000000";
  return new DataView(Uint8Array.of(...bytes(head), ...Array.from(address), ...bytes(end)).buffer);
}

/** The source that a socket of the address's own kind sees. */
export function source(address: string): SourceAddress {
  const result = new SourceAddress();
  result.readSockaddr(sockaddr(ipaddr.parse(address).toByteArray()));
  return result;
}
