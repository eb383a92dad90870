import { describe } from "../base/check.ts";
import { SourceAddress } from "../udp/source_address.ts";

/** How many bits longer the prefix of an IPv4 range is as a range of `::ffff:a.b.c.d`. */
const MAPPED_PREFIX = 96;

/**
 * The ranges of addresses that a server lets in.
 *
 * An IPv4 range lets in IPv4 senders only, also where a socket bound to `::` sees them as `::ffff:a.b.c.d`. An IPv6
 * range lets in IPv6 senders only: `::/0` does not let in all of IPv4. A range of IPv4-mapped addresses
 * (`::ffff:10.0.0.0/104`) is the IPv4 range that it maps.
 *
 * A UDP sender can spoof its address. A list keeps out only senders that cannot spoof an address of your network; the
 * routers at its edge see to that. Nobody can spoof the MAC of `mac.ts`.
 *
 * A check takes time in proportion to the number of ranges: one nanosecond each for IPv4, three for IPv6.
 */
export class AllowList {
  /** The first address and the mask of each IPv4 range. */
  readonly #ipv4: Int32Array;
  /** The first address (four words) and the mask (four words) of each IPv6 range. */
  readonly #ipv6: Int32Array;

  private constructor(ipv4: number[], ipv6: number[]) {
    this.#ipv4 = Int32Array.from(ipv4);
    this.#ipv6 = Int32Array.from(ipv6);
  }

  /**
   * Reads a list.
   *
   * @param ranges Addresses (`192.0.2.1`, `2001:db8::1`) and ranges (`192.0.2.0/24`, `2001:db8::/32`). An empty list
   * lets nobody in.
   * @returns The list.
   * @throws {SyntaxError} If a text is neither, or has bits set after its prefix: `192.0.2.1/24` may mean the range or
   * the one address, and a guess could let in 255 addresses too many.
   */
  static parse(ranges: readonly string[]): AllowList {
    const ipv4: number[] = [];
    const ipv6: number[] = [];
    for (const range of ranges) {
      const [source, prefix] = parseRange(range);
      const words = [...source.words];
      const masks = words.map((_, i) => maskOfWord(prefix - 32 * i));
      if (words.some((word, i) => (word & ~masks[i]) !== 0)) {
        throw new SyntaxError(
          `${describe(range)} has bits set after its prefix: for the one address leave out the prefix, ` +
            "for the range set them to 0",
        );
      }
      if (source.isIPv4) ipv4.push(words[3], masks[3]);
      else ipv6.push(...words, ...masks);
    }
    return new AllowList(ipv4, ipv6);
  }

  /** Whether the list lets a sender in. Allocates nothing. */
  allows(source: SourceAddress): boolean {
    const words = source.words;
    if (source.isIPv4) {
      const ranges = this.#ipv4;
      const address = words[3];
      for (let i = 0; i < ranges.length; i += 2) {
        if (((address ^ ranges[i]) & ranges[i + 1]) === 0) return true;
      }
      return false;
    }
    const ranges = this.#ipv6;
    for (let i = 0; i < ranges.length; i += 8) {
      const difference = (words[0] ^ ranges[i]) & ranges[i + 4] | (words[1] ^ ranges[i + 1]) & ranges[i + 5] |
        (words[2] ^ ranges[i + 2]) & ranges[i + 6] | (words[3] ^ ranges[i + 3]) & ranges[i + 7];
      if (difference === 0) return true;
    }
    return false;
  }
}

/** Returns the first address of a range, and the length of its prefix as an IPv6 range, 0 to 128. */
function parseRange(text: string): [SourceAddress, number] {
  const match = text.match(/^([0-9A-Fa-f:.]+)(?:\/([0-9]{1,3}))?$/);
  if (match === null) throw notARange(text);
  const [, address, prefixText] = match;
  const source = new SourceAddress();
  try {
    source.readText(address);
  } catch {
    throw notARange(text);
  }
  const offset = address.includes(":") ? 0 : MAPPED_PREFIX;
  const prefix = prefixText === undefined ? 128 : Number(prefixText) + offset;
  if (prefix > 128) throw notARange(text);
  return [source, prefix];
}

function notARange(text: string): SyntaxError {
  return new SyntaxError(
    "a range is an IP address, or one with the length of a prefix (at most 32, for IPv6 128), such as " +
      `192.0.2.0/24 or 2001:db8::/32: got ${describe(text)}`,
  );
}

/** Returns the mask of a 32-bit word whose first `bits` bits belong to the prefix: none if below 0, all if above 32. */
function maskOfWord(bits: number): number {
  return bits <= 0 ? 0 : bits >= 32 ? -1 : -1 << (32 - bits);
}
