import { assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { FairShare, SHARED_DATAGRAMS } from "../../lib/udp/fair_share.ts";
import { encodeAddress } from "../../lib/udp/socket_address.ts";

/** A message: its sender's address and port, and how many datagrams it has. */
type Message = [hostname: string, port: number, datagrams: number];

/** Divides a receive, and returns how many datagrams of each message are to be read. */
function quotasOf(messages: Message[]): number[] {
  const senders = messages.map(([hostname, port]) => new DataView(encodeAddress(hostname, port).buffer));
  const share = new FairShare(64, senders[0].byteLength);
  const total = share.divide({ senders, datagramsIn: (message) => messages[message][2] }, messages.length);
  const quotas = messages.map((_, message) => share.quotaOf(message));
  assertEquals(quotas.reduce((a, b) => a + b), total);
  return quotas;
}

function repeated(count: number, message: Message): Message[] {
  return Array.from({ length: count }, () => message);
}

describe("FairShare", () => {
  for (const [one, other] of [["192.0.2.1", "192.0.2.2"], ["2001:db8::1", "2001:db8:1::1"]]) {
    it(`reads all of a modest sender, whatever another one sends: ${one}`, () => {
      const flood = repeated(62, [one, 5000, 64]);
      const quotas = quotasOf([...flood, [other, 5000, 7], [other, 5000, 8]]);
      assertEquals(quotas.slice(62), [7, 8]);
      assertEquals(quotas.slice(0, 62), [SHARED_DATAGRAMS / 2, ...repeated(61, [one, 1, 1]).map(() => 0)]);
    });

    it(`tells senders apart by their ports: ${one}`, () => {
      assertEquals(quotasOf([...repeated(63, [one, 5000, 128]), [one, 5001, 1]]).slice(62), [0, 1]);
    });
  }

  it("divides equally among as many senders as there are messages", () => {
    const messages = Array.from({ length: 64 }, (_, i): Message => [`192.0.2.${i}`, 5000 + i, 1 + i]);
    assertEquals(quotasOf(messages), messages.map(() => 1));
  });

  it("gives a lone sender all of the budget", () => {
    assertEquals(quotasOf(repeated(64, ["192.0.2.1", 5000, 40])).slice(0, 3), [40, 24, 0]);
  });

  it("begins anew with each receive", () => {
    const sender = new DataView(encodeAddress("192.0.2.1", 5000).buffer);
    const share = new FairShare(64, sender.byteLength);
    for (let i = 0; i < 3; i++) {
      assertEquals(share.divide({ senders: [sender], datagramsIn: () => 100 }, 1), SHARED_DATAGRAMS);
    }
  });
});
