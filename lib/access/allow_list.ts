import { describe } from "../base/check.ts";
import { SourceAddress } from "../udp/source_address.ts";

/** How much longer the prefix of an IPv4 range is when it is written as a range of `::ffff:a.b.c.d`, in bits. */
const MAPPED_PREFIX = 96;

/**
 * The ranges of addresses that are let in.
 *
 * An IPv4 sender is let in by IPv4 ranges only, also where a socket bound to `::` sees it as `::ffff:a.b.c.d`, and an IPv6
 * sender by IPv6 ranges only: `::/0` does not let all of IPv4 in. A range of IPv4-mapped addresses (`::ffff:10.0.0.0/104`)
 * is the IPv4 range that it maps.
 *
 * The address of a UDP sender is what it says it is: a list keeps out those who cannot forge an address of yours, which is
 * for the routers at the edge of your network to see to. What cannot be forged is the MAC of `mac.ts`.
 *
 * A check takes time in proportion to the number of ranges: one nanosecond each for IPv4, three for IPv6.
 */
export class AllowList {
  /** Of every IPv4 range: its first address, and its mask. */
  readonly #ipv4: Int32Array;
  /** Of every IPv6 range: the four words of its first address, and the four of its mask. */
  readonly #ipv6: Int32Array;

  private constructor(ipv4: number[], ipv6: number[]) {
    this.#ipv4 = Int32Array.from(ipv4);
    this.#ipv6 = Int32Array.from(ipv6);
  }

  /**
   * Reads a list.
   *
   * @param ranges Addresses (`192.0.2.1`, `2001:db8::1`) and ranges (`192.0.2.0/24`, `2001:db8::/32`). A list of none lets
   * nobody in.
   * @returns The list.
   * @throws {SyntaxError} If one is neither, or has bits set after its prefix: `192.0.2.1/24` may be meant as the range or as
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

  /** Whether a sender is let in. Allocates nothing. */
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

/** The first address of a range, and the length of its prefix as an IPv6 range, 0 to 128. */
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
    "a range is an IP address, or one with the length of a prefix, at most 32 or for IPv6 128, such as 192.0.2.0/24 or " +
      `2001:db8::/32: got ${describe(text)}`,
  );
}

/** The mask of a 32-bit word of which the first `bits` belong to the prefix: none if it is below 0, all if above 32. */
function maskOfWord(bits: number): number {
  return bits <= 0 ? 0 : bits >= 32 ? -1 : -1 << (32 - bits);
}
