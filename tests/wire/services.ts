import { bytes } from "./bytes.ts";
import type { Fuzzer } from "./fuzz.ts";

/** A UDP service, which may be taken for a client where somebody has spoofed its address. */
export interface Service {
  readonly name: string;
  /** What it sends to whoever sent it a datagram; `undefined`: nothing. */
  reply(datagram: Uint8Array, fuzzer: Fuzzer): Uint8Array | undefined;
}

function service(name: string, reply: Service["reply"]): Service {
  return { name, reply };
}

function text(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

/** So many of the printable characters in turn, from one of them on (RFC 864). */
function characters(first: number, count: number): Uint8Array {
  return Uint8Array.from({ length: count }, (_, i) => 0x20 + (first + i) % 95);
}

/** The first bytes of a datagram, filled up with zeros. */
function beginning(datagram: Uint8Array, length: number): Uint8Array {
  const result = new Uint8Array(length);
  result.set(datagram.subarray(0, length));
  return result;
}

/** The datagram with other bytes at its beginning. */
function behind(head: string, datagram: Uint8Array): Uint8Array {
  const changed = datagram.slice();
  changed.set(bytes(head).subarray(0, datagram.length));
  return changed;
}

function random(fuzzer: Fuzzer, length: number): Uint8Array {
  return Uint8Array.from({ length }, () => fuzzer.word());
}

/**
 * Services that answer datagrams they do not understand, or all datagrams. None of them means to ask for ids, so no
 * exchange with one of them may go on.
 */
export const SERVICES: readonly Service[] = [
  service("echo (RFC 862)", (datagram) => datagram.slice()),
  service("chargen (RFC 864)", (_, fuzzer) => characters(fuzzer.below(95), fuzzer.below(513))),
  service("chargen, of requests' lengths", (_, fuzzer) => characters(fuzzer.below(95), [1, 32, 48][fuzzer.below(3)])),
  service("daytime (RFC 867)", () => text("Thursday, November 26, 2026 01:30:00-UTC\r\n")),
  service("time (RFC 868)", (_, fuzzer) => random(fuzzer, 4)),
  service("quote of the day (RFC 865)", () => text('"Nothing endures but change." (Heraclitus)\r\n')),
  service("active users (RFC 866)", () => text("root\r\n")),
  service("active users, none", () => new Uint8Array(0)),
  service("TFTP, illegal operation (RFC 1350)", () => bytes("0005 0004 496c6c6567616c2054465450 00")),
  service("TFTP, unknown transfer", () => bytes("0005 0005 00")),
  service("TFTP, ACK", (_, fuzzer) => Uint8Array.of(0, 4, ...random(fuzzer, 2))),
  service("TFTP, OACK (RFC 2347)", () => Uint8Array.of(0, 6, ...text("blksize\x00512\x00"))),
  service("DNS, format error", (datagram) => behind("0000 8001 0000 0000 0000 0000", beginning(datagram, 12))),
  service("DNS, the query with another answer code", (datagram) => {
    if (datagram.length < 4) return undefined;
    const answer = datagram.slice();
    answer[2] |= 0x80;
    answer[3] = answer[3] & 0xf0 | 1;
    return answer;
  }),
  service("NTP, kiss of death", (datagram) => behind("e4 00 06 ec", beginning(datagram, 48))),
  service("NTP, mode 6 error", (_, fuzzer) => Uint8Array.of(0x16, 0xc0, ...random(fuzzer, 10))),
  service("NTP, mode 7 error", (datagram) => behind("97 00 00 04", beginning(datagram, 8))),
  service("SNMP, unknown engine", (_, fuzzer) => Uint8Array.of(0x30, 0x1e, 0x02, 0x01, 0x03, ...random(fuzzer, 27))),
  service("SSDP", () => text("HTTP/1.1 200 OK\r\nST: upnp:rootdevice\r\n\r\n")),
  service("memcached", (datagram) => Uint8Array.of(...beginning(datagram, 2), 0, 0, 0, 1, 0, 0, ...text("ERROR\r\n"))),
  service("SIP", () => text("SIP/2.0 400 Bad Request\r\n\r\n")),
  service("STUN, an error (RFC 8489)", (datagram) => behind("0111 0000 2112a442", beginning(datagram, 20))),
  service("CoAP, reset (RFC 7252)", (datagram) => Uint8Array.of(0x70, 0, ...beginning(datagram.subarray(2), 2))),
  service("QUIC, version negotiation", (_, fuzzer) => Uint8Array.of(0x80, 0, 0, 0, 0, ...random(fuzzer, 27))),
  service("RADIUS, reject", (datagram) => behind("03 00 0014", beginning(datagram, 20))),
  service("NetBIOS, a negative answer", (datagram) => behind("0000 8506 0000", beginning(datagram, 14))),
  service("a service that drops the first byte", (datagram) => datagram.slice(1)),
  service("a service that reverses what it gets", (datagram) => datagram.slice().reverse()),
  service("a service that inverts what it gets", (datagram) => datagram.map((byte) => ~byte)),
  service("a service that sends nothing but ones", (datagram) => datagram.slice().fill(0xff)),
  service("a server that answers what is no request with an error", (datagram) => {
    return datagram.length === 1 && datagram[0] === 1 ? undefined : Uint8Array.of(1);
  }),
  service(
    "a server that says each request is bad",
    (datagram) => behind("02 04 0000 00000000", beginning(datagram, 32)),
  ),
  service("a server that refuses", (datagram) => {
    const refusal = behind("02 01 0000 00000000", beginning(datagram, 32));
    return refusal.fill(0, 16).fill(9, 23, 24);
  }),
  service("a server that grants", (datagram) => behind("02 00 0000 00000001", beginning(datagram, 32)).fill(1, 16)),
  service("a server that signs", (datagram) => behind("03 00 0000 00000001", beginning(datagram, 48))),
  service("noise", (_, fuzzer) => random(fuzzer, 2 + fuzzer.below(500))),
];

/** Requests that begin an exchange: a basic one, and one for a range of 1 id, with a tag. */
export const REQUESTS: readonly Uint8Array<ArrayBuffer>[] = [
  bytes("00"),
  bytes("02 000000 00000001 0123456789abcdef" + "00".repeat(16)),
];

/**
 * Services that make a request of an answer with ids, by what they send back of it. Of an answer without ids they make
 * none.
 */
export const ECHOING_SERVICES: readonly Service[] = [
  service("one that sends back the first byte", (datagram) => datagram.slice(0, 1)),
  service("one that sends back 16 bytes and as many zeros", (datagram) => beginning(datagram.subarray(0, 16), 32)),
];

/** A service that asks for ids, and for none of them. */
export const ASKING_FOR_NONE: Service = service(
  "one that always asks for a range of no ids",
  () => behind("02", new Uint8Array(32)),
);

/**
 * Services that happen to send requests for ids. To a server they are clients while it has ids; but they must not live
 * on its errors.
 */
export const ASKING_SERVICES: readonly Service[] = [
  service("one that always sends a zero byte", () => Uint8Array.of(0)),
  ASKING_FOR_NONE,
  ...ECHOING_SERVICES,
];

/** An automaton that answers each datagram as the next one of some services does. */
export function inTurn(name: string, services: readonly Service[]): Service {
  let turn = 0;
  return service(name, (datagram, fuzzer) => services[turn++ % services.length].reply(datagram, fuzzer));
}

/** An automaton that answers each datagram as any one of some services does. */
export function atRandom(name: string, services: readonly Service[]): Service {
  return service(name, (datagram, fuzzer) => services[fuzzer.below(services.length)].reply(datagram, fuzzer));
}
