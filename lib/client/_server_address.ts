import { SourceAddress } from "../udp/source_address.ts";

/** Tells whether a datagram came from the address that requests go to, in whatever form the two are written. */
export class ServerAddress {
  readonly #sender = new SourceAddress();
  readonly #words: readonly number[];

  /**
   * Takes the address of the server.
   *
   * @param address An IPv4 or IPv6 address. What is sent to all addresses of this machine (`0.0.0.0`, `::`) reaches its
   * loopback address, and is answered from there. A zone is ignored.
   */
  constructor(address: string) {
    this.#sender.readText(address);
    const words = [...this.#sender.words];
    const isUnspecified = words[3] === 0 && words[0] === 0 && words[1] === 0 && (words[2] === 0 || this.#sender.isIPv4);
    if (isUnspecified) words[3] = this.#sender.isIPv4 ? 0x7f000001 : 1;
    this.#words = words;
  }

  /** Whether a sender is the server: an address as text. */
  isText(address: string): boolean {
    this.#sender.readText(address);
    return this.#isSender();
  }

  /** Whether a sender is the server: a view that begins with a `struct sockaddr_in` or `struct sockaddr_in6`. */
  isSockaddr(sockaddr: DataView): boolean {
    this.#sender.readSockaddr(sockaddr);
    return this.#isSender();
  }

  #isSender(): boolean {
    const [sender, server] = [this.#sender.words, this.#words];
    return sender[3] === server[3] && sender[2] === server[2] && sender[1] === server[1] && sender[0] === server[0];
  }
}
