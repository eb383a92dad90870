import { errno, type Libc, linux, openLibc, systemError } from "../libc/libc.ts";
import { IPV4_PACKET_INFO, IPV6_PACKET_INFO, NO_PACKET_INFO, type PacketInfo } from "./_msghdr.ts";
import { FIRST_UNPRIVILEGED_PORT } from "./client_port.ts";
import { encodeAddress, isUnspecified, MAX_ADDRESS_BYTES, portOf, withPort } from "./socket_address.ts";

/**
 * SO_MEMINFO: nine numbers of 32 bits. The first is how many bytes the receive queue takes, the second how many it may
 * take. The last one counts the datagrams that the kernel has dropped.
 */
const MEMINFO_WORDS = 9;
const MEMINFO_QUEUED = 0;
const MEMINFO_ROOM = 1;
const MEMINFO_DROPS = 8;

/** A UDP socket of libc's, with the address to bind it or connect it to. */
export class RawSocket {
  /** The functions of libc. */
  readonly libc: Libc;
  /** The socket's file descriptor. */
  readonly fd: number;
  /** The length of the socket's addresses in bytes: IPv4 and IPv6 addresses differ. */
  readonly addressLength: number;

  #packetInfo = NO_PACKET_INFO;
  readonly #meminfo = new Uint32Array(MEMINFO_WORDS);
  readonly #meminfoLength = new Uint32Array(1);
  readonly #address: Uint8Array<ArrayBuffer>;
  readonly #name: string;
  #closed = false;

  /**
   * Makes a socket.
   *
   * @param hostname An IPv4 or IPv6 address.
   * @param port The port.
   * @param timeoutMs How long a send or a receive blocks at most, in ms, below 1000.
   * @param libc The functions of libc.
   * @throws {TypeError} If the hostname is not an IP address.
   * @throws {Deno.errors.NotCapable | Deno.errors.NotSupported} If libc is out of reach: see `openLibc`.
   */
  constructor(hostname: string, port: number, timeoutMs: number, libc: Libc = openLibc()) {
    this.#address = encodeAddress(hostname, port);
    this.#name = `${hostname} port ${port}`;
    this.addressLength = this.#address.length;
    this.libc = libc;
    this.fd = this.#open();
    if (this.fd < 0) throw systemError(this.libc, "cannot make a socket");
    // struct timeval { time_t tv_sec; suseconds_t tv_usec; }
    const timeout = BigInt64Array.of(0n, BigInt(timeoutMs) * 1000n);
    this.setOption(linux.SO_RCVTIMEO, timeout);
    this.setOption(linux.SO_SNDTIMEO, timeout);
  }

  /** Sets an option of the level SOL_SOCKET. */
  setOption(option: number, value: Int32Array<ArrayBuffer> | BigInt64Array<ArrayBuffer>): void {
    this.#check(
      this.libc.setsockopt(this.fd, linux.SOL_SOCKET, option, value, value.byteLength),
      `cannot set socket option ${option} for ${this.#name}`,
    );
  }

  /**
   * Has the kernel tell to which of this machine's addresses each message came, and take from the socket from which one
   * an answer goes. A socket bound to `0.0.0.0` or `::` needs this: otherwise the kernel chooses the address of an
   * answer by its route, and the socket of a client that asked another address takes no answer from there. For a socket
   * bound to one address, this method changes nothing. To be called before `bind`.
   */
  useLocalAddresses(): void {
    if (!isUnspecified(this.#address)) return;
    const isIPv4 = this.addressLength < MAX_ADDRESS_BYTES;
    const [level, option] = isIPv4 ? [linux.SOL_IP, linux.IP_PKTINFO] : [linux.SOL_IPV6, linux.IPV6_RECVPKTINFO];
    this.#check(
      this.libc.setsockopt(this.fd, level, option, Int32Array.of(1), 4),
      `cannot learn which address is asked at ${this.#name}`,
    );
    this.#packetInfo = isIPv4 ? IPV4_PACKET_INFO : IPV6_PACKET_INFO;
  }

  /** How the control data of a message name this machine's address, if they do: see {@linkcode useLocalAddresses}. */
  get packetInfo(): PacketInfo {
    return this.#packetInfo;
  }

  /** Sets an option of the level SOL_UDP. Returns whether the kernel knows the option. */
  trySetUdpOption(option: number, value: number): boolean {
    return this.libc.setsockopt(this.fd, linux.SOL_UDP, option, Int32Array.of(value), 4) === 0;
  }

  /**
   * Binds the socket to the address.
   *
   * @throws {Deno.errors.AddrNotAvailable | Deno.errors.AddrInUse | Deno.errors.PermissionDenied} If that is why it
   * cannot be bound.
   * @throws {Error} If it cannot be bound for another reason.
   */
  bind(): void {
    if (this.libc.bind(this.fd, this.#address, this.addressLength) !== 0) throw this.#bindError();
    const length = Uint32Array.of(this.addressLength);
    this.#check(this.libc.getsockname(this.fd, this.#address, length), `cannot tell the port of ${this.#name}`);
  }

  /** Connects the socket to the address: from now on, it sends there and receives from there only. */
  connect(): void {
    this.#check(this.libc.connect(this.fd, this.#address, this.addressLength), `cannot connect ${this.#name}`);
  }

  /**
   * Takes a bound socket out of the group that shares its port. The kernel deals no datagrams to a connected socket, so
   * this one connects to itself. It can still receive and answer the datagrams in its queue. No socket should join the
   * group until this one is closed: the kernel might put the new socket into another group.
   */
  leaveGroup(): void {
    this.libc.connect(this.fd, this.#address, this.addressLength);
  }

  /** The port of the address. After `bind` to port 0, the port that the system chose. */
  get port(): number {
    return portOf(this.#address);
  }

  /**
   * Waits in another thread until a datagram comes or the time has passed. The caller must not close the socket
   * meanwhile.
   */
  async waitForDatagram(timeoutMs: number): Promise<void> {
    const pollfd = Int32Array.of(this.fd, linux.POLLIN); // struct pollfd { int fd; short events; short revents; }
    await this.libc.poll(pollfd, 1n, timeoutMs);
  }

  /**
   * Whether a receive would return at once: with a datagram, with an error of the socket, or because the kernel lets
   * this process not receive at all. After a receive that brought nothing, this tells a failure from an empty queue.
   */
  isReceivable(): boolean {
    return this.libc.pollNow(Int32Array.of(this.fd, linux.POLLIN), 1n, 0) !== 0;
  }

  /** Whether the kernel has room for another datagram to send. */
  isSendable(): boolean {
    const pollfd = Int32Array.of(this.fd, linux.POLLOUT);
    this.libc.pollNow(pollfd, 1n, 0);
    return (pollfd[1] >>> 16 & linux.POLLOUT) !== 0;
  }

  /**
   * How many datagrams the kernel has dropped because the socket had no room for them, modulo 2^32; 0 if the kernel
   * does not tell. Takes 2 us.
   */
  get drops(): number {
    return this.#readMeminfo()[MEMINFO_DROPS];
  }

  /** How many bytes of the kernel's memory the receive queue takes. Takes 2 us, and allocates nothing. */
  get queuedBytes(): number {
    return this.#readMeminfo()[MEMINFO_QUEUED];
  }

  /** How many bytes of the kernel's memory the receive queue may take. */
  get maxQueuedBytes(): number {
    return this.#readMeminfo()[MEMINFO_ROOM];
  }

  #readMeminfo(): Uint32Array<ArrayBuffer> {
    const length = this.#meminfoLength;
    length[0] = this.#meminfo.byteLength;
    this.libc.getsockopt(this.fd, linux.SOL_SOCKET, linux.SO_MEMINFO, this.#meminfo, length);
    return this.#meminfo;
  }

  /** Ends a wait for a datagram. The socket receives no datagrams afterwards. */
  wake(): void {
    this.libc.shutdown(this.fd, linux.SHUT_RD); // fails with ENOTCONN, and ends the wait all the same
  }

  /** Closes the socket. A second call does nothing: by then, the descriptor may be another file's. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.libc.close(this.fd);
  }

  /** Opens a socket for addresses of this kind. Returns its file descriptor; -1 if that fails. */
  #open(): number {
    const family = this.addressLength === MAX_ADDRESS_BYTES ? linux.AF_INET6 : linux.AF_INET;
    return this.libc.socket(family, linux.SOCK_DGRAM | linux.SOCK_CLOEXEC, 0);
  }

  /** Closes the socket, which could not be bound, and finds out why by binding others: see `errno`. */
  #bindError(): Error {
    const failure = `cannot bind ${this.#name}`;
    const code = errno(this.libc);
    const otherError = systemError(this.libc, failure);
    this.close();
    if (!this.#canBind(encodeAddress(this.addressLength === MAX_ADDRESS_BYTES ? "::" : "0.0.0.0", 0))) {
      return otherError; // nothing can be bound
    }
    if (!this.#canBind(withPort(this.#address, 0))) {
      return new Deno.errors.AddrNotAvailable(`${failure}: this machine does not have the address`);
    }
    if (this.port >= FIRST_UNPRIVILEGED_PORT || code === linux.EADDRINUSE) {
      return new Deno.errors.AddrInUse(`${failure}: another socket has the port`);
    }
    return code === linux.EACCES ? new Deno.errors.PermissionDenied(otherError.message) : otherError;
  }

  /** Whether a socket can be bound to an address of this kind. */
  #canBind(address: Uint8Array<ArrayBuffer>): boolean {
    const fd = this.#open();
    if (fd < 0) return false;
    const canBind = this.libc.bind(fd, address, address.length) === 0;
    this.libc.close(fd);
    return canBind;
  }

  /** If a call failed, closes the socket and throws an error whose message begins with what failed. */
  #check(result: number, failure: string): void {
    if (result === 0) return;
    const error = systemError(this.libc, failure);
    this.close();
    throw error;
  }
}
