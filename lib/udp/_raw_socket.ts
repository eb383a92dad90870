import { type Libc, linux, openLibc, systemError } from "../libc/libc.ts";
import { encodeAddress, MAX_ADDRESS_BYTES, portOf } from "./_socket_address.ts";

/** A UDP socket of libc's, and the address that it is to be bound or connected to. */
export class RawSocket {
  /** The functions that work on it. */
  readonly libc: Libc;
  /** Its file descriptor. */
  readonly fd: number;
  /** The length in bytes of its kind of address. */
  readonly addressLength: number;

  readonly #address: Uint8Array<ArrayBuffer>;
  readonly #name: string;
  #closed = false;

  /**
   * Makes a socket whose sends and receives wait no longer than a timeout.
   *
   * @throws {TypeError} If the hostname is not an IP address.
   * @throws {Deno.errors.NotCapable | Deno.errors.NotSupported} If there is no way to libc: see `openLibc`.
   */
  constructor(hostname: string, port: number, timeoutMs: number) {
    this.#address = encodeAddress(hostname, port);
    this.#name = `${hostname} port ${port}`;
    this.addressLength = this.#address.length;
    this.libc = openLibc();
    const family = this.addressLength === MAX_ADDRESS_BYTES ? linux.AF_INET6 : linux.AF_INET;
    this.fd = this.libc.socket(family, linux.SOCK_DGRAM | linux.SOCK_CLOEXEC, 0);
    if (this.fd < 0) throw systemError(this.libc, "cannot make a socket");
    const timeout = BigInt64Array.of(0n, BigInt(timeoutMs) * 1000n); // struct timeval: s, us
    this.setOption(linux.SO_RCVTIMEO, timeout);
    this.setOption(linux.SO_SNDTIMEO, timeout);
  }

  /** Sets one of the options of level SOL_SOCKET. */
  setOption(option: number, value: Int32Array<ArrayBuffer> | BigInt64Array<ArrayBuffer>): void {
    this.#check(
      this.libc.setsockopt(this.fd, linux.SOL_SOCKET, option, value, value.byteLength),
      `cannot set socket option ${option} for ${this.#name}`,
    );
  }

  /** Sets one of the options of level SOL_UDP, and returns whether the kernel has it. */
  trySetUdpOption(option: number, value: number): boolean {
    return this.libc.setsockopt(this.fd, linux.SOL_UDP, option, Int32Array.of(value), 4) === 0;
  }

  /** Binds it to the address. */
  bind(): void {
    this.#check(this.libc.bind(this.fd, this.#address, this.addressLength), `cannot bind ${this.#name}`);
    const length = Uint32Array.of(this.addressLength);
    this.#check(this.libc.getsockname(this.fd, this.#address, length), `cannot tell the port of ${this.#name}`);
  }

  /** Connects it to the address: it sends there, and receives from nowhere else. */
  connect(): void {
    this.#check(this.libc.connect(this.fd, this.#address, this.addressLength), `cannot connect ${this.#name}`);
  }

  /**
   * Takes a bound socket out of the group that shares its port: the kernel deals no datagrams to one that is connected, here to itself,
   * and what is in its queue can still be read and answered. No socket should join the group until this one is closed: it might end up
   * in another one. (Bound to `0.0.0.0` or `::`, it answers from the loopback address from then on.)
   */
  leaveGroup(): void {
    this.libc.connect(this.fd, this.#address, this.addressLength);
  }

  /** The port of the address; after `bind`, the one that the system chose if it was asked for port 0. */
  get port(): number {
    return portOf(this.#address);
  }

  /** Waits in a thread of its own until there is a datagram, or the time has passed. Not to be closed meanwhile. */
  async waitForDatagram(timeoutMs: number): Promise<void> {
    await this.libc.poll(Int32Array.of(this.fd, linux.POLLIN), 1n, timeoutMs); // struct pollfd: fd, events, revents
  }

  /** Ends a wait for a datagram. None is received from then on. */
  wake(): void {
    this.libc.shutdown(this.fd, linux.SHUT_RD); // says ENOTCONN, and wakes whoever waits all the same
  }

  /** Closes it, once. (Its number may soon be another file's.) */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.libc.close(this.fd);
  }

  /** Closes the socket and throws if a call failed. */
  #check(result: number, what: string): void {
    if (result === 0) return;
    const error = systemError(this.libc, what);
    this.close();
    throw error;
  }
}
