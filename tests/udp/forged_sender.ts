import { openLibc } from "../../lib/libc/libc.ts";
import { KernelMemory } from "../../lib/udp/_kernel_memory.ts";
import { encodeAddress } from "../../lib/udp/socket_address.ts";

const AF_INET = 2;
const SOCK_RAW = 3;
const IPPROTO_UDP = 17;
/** The header of a datagram: source port, destination port, length, checksum (0: none). */
const HEADER_BYTES = 8;

/**
 * Sends datagrams over IPv4 with a source port of one's choice, also one that is another socket's, or 0, that no socket
 * can have. Only root can.
 */
export class ForgedSender implements Disposable {
  readonly #libc = openLibc();
  readonly #fd: number;
  readonly #memory = new KernelMemory(256);

  private constructor(fd: number) {
    this.#fd = fd;
  }

  /** Makes one; `undefined` if the system does not let this user. */
  static tryOpen(): ForgedSender | undefined {
    if (Deno.build.os !== "linux") return undefined;
    const fd = openLibc().socket(AF_INET, SOCK_RAW, IPPROTO_UDP);
    return fd < 0 ? undefined : new ForgedSender(fd);
  }

  /** Sends a datagram to a port of 127.0.0.1. */
  send(fromPort: number, toPort: number, payload: Uint8Array): void {
    const length = HEADER_BYTES + payload.length;
    const view = new DataView(this.#memory.buffer);
    view.setUint16(0, fromPort);
    view.setUint16(2, toPort);
    view.setUint16(4, length);
    view.setUint16(6, 0);
    const bytes = new Uint8Array(this.#memory.buffer);
    bytes.set(payload, HEADER_BYTES);
    const address = encodeAddress("127.0.0.1", 0);
    bytes.set(address, 128);
    const sent = this.#libc.sendto(
      this.#fd,
      this.#memory.pointerTo(0),
      length,
      0,
      this.#memory.pointerTo(128),
      address.length,
    );
    if (sent !== length) throw new Error(`a forged datagram from port ${fromPort} could not be sent`);
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
