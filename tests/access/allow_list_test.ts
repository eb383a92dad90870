import { assert, assertEquals, assertThrows, fail } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import ipaddr from "ipaddr.js";
import { AllowList } from "../../lib/access/allow_list.ts";
import { SourceAddress } from "../../lib/udp/source_address.ts";
import { Random } from "./random.ts";
import { sockaddr, source } from "./sources.ts";

/** The address with all bits from `prefix` on set to 0. */
function networkOf(address: Uint8Array, prefix: number): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(address, (byte, i) => byte & ~(0xff >> Math.min(Math.max(prefix - 8 * i, 0), 8)));
}

/** The address with one bit, counted from the first, turned over. */
function flip(address: Uint8Array, bit: number): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(address, (byte, i) => i === bit >> 3 ? byte ^ 0x80 >> (bit & 7) : byte);
}

const textOf = (address: Uint8Array) => ipaddr.fromByteArray([...address]).toString();

describe("AllowList", () => {
  it("agrees with ipaddr.js on every range within every byte of an IPv4 address, and every value of that byte", () => {
    const from = new SourceAddress();
    for (let at = 0; at < 4; at++) {
      const addresses = Array.from(
        { length: 256 },
        (_, value) => [192, 168, 77, 5].map((byte, i) => i === at ? value : byte),
      );
      const senders = addresses.map(sockaddr);
      const ips = addresses.map((address) => new ipaddr.IPv4(address));
      for (let prefix = 8 * at; prefix <= 8 * at + 8; prefix++) {
        for (let network = 0; network < 256; network += 1 << (8 * at + 8 - prefix)) {
          const range = `${textOf(networkOf(Uint8Array.from(addresses[network]), prefix))}/${prefix}`;
          const list = AllowList.parse([range]);
          const expected = ipaddr.parseCIDR(range);
          for (let value = 0; value < 256; value++) {
            from.readSockaddr(senders[value]);
            if (list.allows(from) !== ips[value].match(expected)) fail(`${ips[value]} in ${range}`);
          }
        }
      }
    }
  });

  for (const [kind, length] of [["IPv4", 4], ["IPv6", 16]] as const) {
    it(`agrees with ipaddr.js on ${kind} ranges of every length, and addresses that differ in any one bit`, () => {
      const random = new Random(length);
      const [from, fromText] = [new SourceAddress(), new SourceAddress()];
      for (let prefix = 0; prefix <= 8 * length; prefix++) {
        const inside = random.bytes(length);
        const range = `${textOf(networkOf(inside, prefix))}/${prefix}`;
        const list = AllowList.parse([range]);
        for (let bit = -1; bit < 8 * length; bit++) {
          const address = flip(inside, bit);
          const ip = ipaddr.fromByteArray([...address]);
          from.readSockaddr(sockaddr(address));
          fromText.readText(ip.toString());
          const expected = ip.match(ipaddr.parseCIDR(range));
          assertEquals([list.allows(from), list.allows(fromText)], [expected, expected], `${ip} in ${range}`);
          assertEquals(expected, bit === -1 || bit >= prefix);
        }
      }
    });

    it(`refuses an ${kind} range with any bit set after its prefix, and only such`, () => {
      const zero = new Uint8Array(length);
      for (let prefix = 0; prefix <= 8 * length; prefix++) {
        for (let bit = 0; bit < 8 * length; bit++) {
          const range = `${textOf(flip(zero, bit))}/${prefix}`;
          if (bit < prefix) AllowList.parse([range]);
          else assertThrows(() => AllowList.parse([range]), SyntaxError, `"${range}" has bits set after its prefix`);
        }
      }
    });
  }

  it("agrees with ipaddr.js on lists of many ranges", () => {
    const random = new Random(2);
    for (let round = 0; round < 200; round++) {
      const ranges = Array.from({ length: random.below(8) }, () => {
        const length = random.below(2) === 0 ? 4 : 16;
        const prefix = random.below(12);
        return `${textOf(networkOf(random.bytes(length), prefix))}/${prefix}`;
      });
      const list = AllowList.parse(ranges);
      for (let i = 0; i < 100; i++) {
        const address = ipaddr.fromByteArray([...random.bytes(i % 2 === 0 ? 4 : 16)]);
        const expected = ranges.map((range) => ipaddr.parseCIDR(range))
          .some((range) => range[0].kind() === address.kind() && address.match(range));
        assertEquals(list.allows(source(address.toString())), expected, `${address} in ${ranges}`);
      }
    }
  });

  const lists: [string[], string[], string[]][] = [
    [[], [], ["127.0.0.1", "::1", "::ffff:127.0.0.1"]],
    [["192.0.2.1"], ["192.0.2.1", "::ffff:192.0.2.1"], ["192.0.2.0", "192.0.2.2", "::c000:201", "2001:db8::1"]],
    [["2001:db8::1"], ["2001:db8::1"], ["2001:db8::", "2001:db8::2", "0.0.0.1"]],
    [["10.0.0.0/8", "192.168.0.0/16"], ["10.255.255.255", "::ffff:192.168.1.1"], ["11.0.0.0", "192.169.0.0"]],
    [["0.0.0.0/0"], ["0.0.0.0", "255.255.255.255", "::ffff:1.2.3.4"], ["::", "::1", "::fffe:1.2.3.4"]],
    [["::/0"], ["::", "::1", "2001:db8::1"], ["0.0.0.0", "1.2.3.4", "::ffff:1.2.3.4"]],
    [["::ffff:10.0.0.0/104"], ["10.1.2.3", "::ffff:10.1.2.3"], ["11.0.0.0", "::a01:203"]],
    [["::ffff:0:0/96"], ["1.2.3.4", "::ffff:1.2.3.4"], ["::1"]],
    [["::ffff:10.0.0.1"], ["10.0.0.1"], ["10.0.0.2"]],
    [["2001:DB8::/32"], ["2001:db8:ffff::1"], ["2001:db9::"]],
  ];
  for (const [ranges, inside, outside] of lists) {
    it(`of ${ranges.join(" and ") || "nothing"} lets in the addresses of the list only`, () => {
      const list = AllowList.parse(ranges);
      for (const address of inside) assert(list.allows(source(address)), address);
      for (const address of outside) assert(!list.allows(source(address)), address);
    });
  }

  const refused = [
    ...["", " ", "localhost", "10.0.0.0/33", "::/129", "::ffff:10.0.0.0/129", "10.0.0.0/-1", "10.0.0.0/", "/8", "10/8"],
    ...[
      "10.0.0.0/8/8",
      "10.0.0.0/255.0.0.0",
      "10.0.0.0 /8",
      " 10.0.0.0/8",
      "0x0a.0.0.0/8",
      "010.0.0.0/8",
      "10.0.0.256",
    ],
    ...["fe80::1%eth0", "fe80::%eth0/10", "1::2::3", "10.0.0.0/1e1", "10.0.0.0,::1", "*"],
  ];
  for (const range of refused) {
    it(`refuses ${JSON.stringify(range)}, and says what is allowed`, () => {
      assertThrows(
        () => AllowList.parse(["127.0.0.1", range]),
        SyntaxError,
        "a range is an IP address, or one with the length of a prefix (at most 32, for IPv6 128), such as " +
          `192.0.2.0/24 or 2001:db8::/32: got ${JSON.stringify(range)}`,
      );
    });
  }
});
