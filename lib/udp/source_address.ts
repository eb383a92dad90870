import { linux } from "../libc/libc.ts";
import { parseIpAddress } from "./ip_address.ts";
import { FAMILY, IPV4_ADDRESS, IPV6_ADDRESS } from "./socket_address.ts";

/** The byte order of the kernel, on all machines that Deno runs on. */
const LITTLE_ENDIAN = true;

/** The third word of `::ffff:a.b.c.d`, the form in which a socket bound to `::` sees an IPv4 sender. */
const MAPPED = 0xffff;

/** How many addresses a reader remembers by their texts. Spoofed senders can make a reader forget, but not grow. */
const MAX_REMEMBERED = 1024;

/**
 * The IP address that a datagram came from. A socket makes one object and reads every sender into it, so a sender costs
 * no allocation.
 *
 * The object holds an IPv4 address as the IPv6 address `::ffff:a.b.c.d`, so a sender looks the same to a socket bound
 * to `0.0.0.0` and to a socket bound to `::`.
 */
export class SourceAddress {
  /** The address as IPv6: four 32-bit words, the most significant first. */
  readonly words: Uint32Array<ArrayBuffer> = new Uint32Array(4);

  readonly #remembered = new Map<string, Uint32Array>();

  /** Whether this is an IPv4 address; if so, the last word holds it. */
  get isIPv4(): boolean {
    const words = this.words;
    return (words[0] | words[1]) === 0 && words[2] === MAPPED;
  }

  /**
   * Reads an address that Linux wrote. Allocates nothing.
   *
   * @param sockaddr A view that begins with a `struct sockaddr_in` or a `struct sockaddr_in6`: see `socket_address.ts`.
   */
  readSockaddr(sockaddr: DataView): void {
    const words = this.words;
    if (sockaddr.getUint16(FAMILY, LITTLE_ENDIAN) === linux.AF_INET) {
      words[0] = words[1] = 0;
      words[2] = MAPPED;
      words[3] = sockaddr.getUint32(IPV4_ADDRESS);
    } else {
      for (let i = 0; i < 4; i++) words[i] = sockaddr.getUint32(IPV6_ADDRESS + 4 * i);
    }
  }

  /**
   * Reads an address as text. Allocates nothing for an address that this object remembers.
   *
   * @param hostname An IPv4 or IPv6 address, such as the hostname of a `Deno.NetAddr`. A zone is ignored.
   * @throws {SyntaxError} If the hostname is not such an address.
   */
  readText(hostname: string): void {
    let words = this.#remembered.get(hostname);
    if (words === undefined) {
      words = parseWords(hostname);
      if (this.#remembered.size >= MAX_REMEMBERED) this.#remembered.clear();
      this.#remembered.set(hostname, words);
    }
    this.words.set(words);
  }
}

function parseWords(text: string): Uint32Array {
  const ip = parseIpAddress(text);
  if (ip === undefined) throw new SyntaxError(`hostname must be an IPv4 or IPv6 address: got ${JSON.stringify(text)}`);
  const bytes = ("toIPv4MappedAddress" in ip ? ip.toIPv4MappedAddress() : ip).toByteArray();
  const view = new DataView(Uint8Array.from(bytes).buffer);
  return Uint32Array.from({ length: 4 }, (_, i) => view.getUint32(4 * i));
}
