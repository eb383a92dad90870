import { linux } from "../libc/libc.ts";
import { parseIpAddress } from "./ip_address.ts";

/** Where the addresses begin in `struct sockaddr_in` and `struct sockaddr_in6`, in bytes. */
const SOCKADDR_IPV4 = 4;
const SOCKADDR_IPV6 = 8;

/** The third word of `::ffff:a.b.c.d`, the form in which a socket bound to `::` sees an IPv4 sender. */
const MAPPED = 0xffff;

/** How many addresses a reader remembers as text; forged senders can make it forget, not grow. */
const MAX_REMEMBERED = 1024;

/**
 * The IP address that a datagram came from. Its user makes one and reads every sender into it, so that none costs an
 * allocation.
 *
 * An IPv4 address is held as the IPv6 address `::ffff:a.b.c.d` whichever way it was read, so that a sender is the same one
 * to a socket bound to `0.0.0.0` and to one bound to `::`.
 */
export class SourceAddress {
  /** The address as IPv6: four 32-bit words, the first one first. */
  readonly words: Uint32Array<ArrayBuffer> = new Uint32Array(4);

  readonly #remembered = new Map<string, Uint32Array>();

  /** Whether it is an IPv4 address, which then is the last word. */
  get isIPv4(): boolean {
    const words = this.words;
    return (words[0] | words[1]) === 0 && words[2] === MAPPED;
  }

  /**
   * Reads the address as Linux writes it. Allocates nothing.
   *
   * @param sockaddr A view that begins with a `struct sockaddr_in` (16 bytes) or a `struct sockaddr_in6` (28 bytes).
   */
  readSockaddr(sockaddr: DataView): void {
    const words = this.words;
    if (sockaddr.getUint16(0, true) === linux.AF_INET) {
      words[0] = words[1] = 0;
      words[2] = MAPPED;
      words[3] = sockaddr.getUint32(SOCKADDR_IPV4);
    } else {
      for (let i = 0; i < 4; i++) words[i] = sockaddr.getUint32(SOCKADDR_IPV6 + 4 * i);
    }
  }

  /**
   * Reads the address as Deno writes it. Allocates nothing for one of the last addresses read.
   *
   * @param hostname An IPv4 or IPv6 address, such as `Deno.NetAddr` has; an IPv6 zone is left out.
   * @throws {SyntaxError} If it is not one.
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
