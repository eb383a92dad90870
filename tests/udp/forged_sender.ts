import { openLibc } from "../../lib/libc/libc.ts";
import { KernelMemory } from "../../lib/udp/_kernel_memory.ts";
import { encodeAddress, IPV4_ADDRESS } from "../../lib/udp/socket_address.ts";

const AF_INET = 2;
const SOCK_RAW = 3;
/** The sender writes the headers of IP, too. The kernel fills in their length and checksum. */
const IPPROTO_RAW = 255;
const UDP = 17;
const IP_HEADER_BYTES = 20;
/** Source port, destination port, length, checksum (0: none). */
const UDP_HEADER_BYTES = 8;
/** Where the address for the system call is in the memory, behind the longest packet. */
const ADDRESS = 1024;

/** An IPv4 address and a port, which need not be this machine's. */
export interface Endpoint {
  hostname: string;
  port: number;
}

/** Sends datagrams over IPv4 from any address and port, also from port 0, which no socket can have. Only root can. */
export class ForgedSender implements Disposable {
  readonly #libc = openLibc();
  readonly #fd: number;
  readonly #memory = new KernelMemory(2048);

  private constructor(fd: number) {
    this.#fd = fd;
  }

  /** Makes one; `undefined` if the system does not let this user. */
  static tryOpen(): ForgedSender | undefined {
    if (Deno.build.os !== "linux") return undefined;
    const fd = openLibc().socket(AF_INET, SOCK_RAW, IPPROTO_RAW);
    return fd < 0 ? undefined : new ForgedSender(fd);
  }

  /** Sends a datagram. */
  send(from: Endpoint, to: Endpoint, payload: Uint8Array): void {
    const bytes = new Uint8Array(this.#memory.buffer);
    const view = new DataView(this.#memory.buffer);
    const length = IP_HEADER_BYTES + UDP_HEADER_BYTES + payload.length;
    const target = encodeAddress(to.hostname, 0);
    bytes.fill(0, 0, length);
    view.setUint16(0, 0x4500); // version 4, 5 words of header
    view.setUint8(8, 64); // time to live
    view.setUint8(9, UDP);
    bytes.set(encodeAddress(from.hostname, 0).subarray(IPV4_ADDRESS, IPV4_ADDRESS + 4), 12);
    bytes.set(target.subarray(IPV4_ADDRESS, IPV4_ADDRESS + 4), 16);
    view.setUint16(20, from.port);
    view.setUint16(22, to.port);
    view.setUint16(24, UDP_HEADER_BYTES + payload.length);
    bytes.set(payload, IP_HEADER_BYTES + UDP_HEADER_BYTES);
    bytes.set(target, ADDRESS);
    const [packet, address] = [this.#memory.pointerTo(0), this.#memory.pointerTo(ADDRESS)];
    const sent = this.#libc.sendto(this.#fd, packet, length, 0, address, target.length);
    if (sent !== length) throw new Error(`a datagram from ${from.hostname} port ${from.port} could not be forged`);
  }

  [Symbol.dispose](): void {
    this.#libc.close(this.#fd);
  }
}

/** Whether this user can send such datagrams; says so if not. */
export function canForgeSenders(test: string): boolean {
  using sender = ForgedSender.tryOpen();
  if (sender === undefined) console.warn(`${test}: left out, since forged senders need root on Linux (a raw socket)`);
  return sender !== undefined;
}
