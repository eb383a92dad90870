import { assertEquals, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import ipaddr from "ipaddr.js";
import { SourceAddress } from "../../lib/udp/source_address.ts";
import { encodeAddress } from "../../lib/udp/socket_address.ts";
import { Random } from "../access/random.ts";
import { sockaddr } from "../access/sources.ts";

describe("SourceAddress, against words written out by hand", () => {
  const source = new SourceAddress();
  const read: [string, number[], boolean][] = [
    ["192.0.2.1", [0, 0, 0xffff, 0xc0000201], true],
    ["255.255.255.255", [0, 0, 0xffff, 0xffffffff], true],
    ["0.0.0.0", [0, 0, 0xffff, 0], true],
    ["::ffff:192.0.2.1", [0, 0, 0xffff, 0xc0000201], true],
    ["2001:db8:1:2:3:4:5:6", [0x20010db8, 0x00010002, 0x00030004, 0x00050006], false],
    ["::1", [0, 0, 0, 1], false],
    ["::", [0, 0, 0, 0], false],
    ["::fffe:192.0.2.1", [0, 0, 0xfffe, 0xc0000201], false],
    ["0:1::ffff:c000:201", [1, 0, 0xffff, 0xc0000201], false],
    ["0:0:0:1:0:ffff:c000:201", [0, 1, 0xffff, 0xc0000201], false],
    ["ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", [0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff], false],
  ];
  for (const [address, words, isIPv4] of read) {
    it(`reads ${address} as text`, () => {
      source.readText(address);
      assertEquals([...source.words], words);
      assertEquals(source.isIPv4, isIPv4);
    });

    it(`reads ${address} as a sockaddr`, () => {
      source.readSockaddr(new DataView(encodeAddress(address, 9999).buffer));
      assertEquals([...source.words], words);
      assertEquals(source.isIPv4, isIPv4);
    });
  }

  it("ignores a zone", () => {
    source.readText("fe80::1%eth0");
    assertEquals([...source.words], [0xfe800000, 0, 0, 1]);
  });

  it("refuses texts that are no addresses", () => {
    for (const text of ["", "localhost", "1.2.3", "1.2.3.4.5", "256.0.0.1", "010.0.0.1", "1::2::3", "::1/64"]) {
      assertThrows(() => source.readText(text), SyntaxError, `hostname must be an IPv4 or IPv6 address: got "${text}"`);
    }
  });
});

describe("SourceAddress", () => {
  it("reads text and sockaddr alike, with more addresses than it remembers, in any order", () => {
    const random = new Random(1);
    const [text, kernel] = [new SourceAddress(), new SourceAddress()];
    const addresses = Array.from({ length: 3000 }, (_, i) => random.bytes(i % 2 === 0 ? 4 : 16));
    for (let i = 0; i < 20_000; i++) {
      const address = addresses[random.below(i % 3 === 0 ? 100 : addresses.length)];
      text.readText(ipaddr.fromByteArray([...address]).toString());
      kernel.readSockaddr(sockaddr(address));
      assertEquals(text.words, kernel.words);
      assertEquals(text.isIPv4, address.length === 4);
    }
  });
});
