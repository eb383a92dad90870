import { setImmediate } from "node:timers";
import { errno, type Libc, linux, openLibc, systemError } from "./_libc.ts";
import { encodeAddress, MAX_ADDRESS_BYTES, portOf } from "./_socket_address.ts";
import { type Respond, SLOT_BYTES, type UdpSocket, type UdpSocketOptions } from "./udp_socket.ts";

/** Where a reuseport socket is to be bound. */
export interface ReuseportOptions extends UdpSocketOptions {
  /**
   * Take what arrives on this CPU, as far as the sockets of the port share the work by CPU (SO_INCOMING_CPU, Linux 6.2
   * and later). For a process that is pinned to that CPU: an answer from another one costs a wake-up across CPUs.
   */
  incomingCpu?: number;
}

/** How many datagrams one system call takes at most. */
const BATCH = 64;

/** How long a receive waits before the event loop gets its turns. */
const RECEIVE_TIMEOUT_MS = 50;

/** How many turns the event loop then gets, of about 4 us each: a message on stdin takes about 20 turns to be heard. */
const TURNS_WHEN_IDLE = 20;

/** After how many batches the event loop gets one turn under load. It takes as long as answering one or two datagrams. */
const BATCHES_PER_TURN = 128;

// `struct mmsghdr` and `struct iovec` of 64-bit Linux: sizes, and offsets of their fields, in bytes.
const MMSGHDR_BYTES = 64;
const MSG_NAME = 0;
const MSG_NAMELEN = 8;
const MSG_IOV = 16;
const MSG_IOVLEN = 24;
const MSG_LEN = 56;
const IOVEC_BYTES = 16;
const IOV_BASE = 0;
const IOV_LEN = 8;

/** `struct sockaddr_in6` rounded up, so that every address begins at a multiple of its alignment. */
const ADDRESS_STRIDE = 32;

// The parts of the one block of memory that the kernel and this program share, as offsets into it.
const RECEIVED = 0;
const REPLIES = RECEIVED + BATCH * MMSGHDR_BYTES;
const RECEIVED_IOVECS = REPLIES + BATCH * MMSGHDR_BYTES;
const REPLY_IOVECS = RECEIVED_IOVECS + BATCH * IOVEC_BYTES;
const ADDRESSES = REPLY_IOVECS + BATCH * IOVEC_BYTES;
const SLOTS = ADDRESSES + BATCH * ADDRESS_STRIDE;
const MEMORY_BYTES = SLOTS + BATCH * SLOT_BYTES;

/**
 * Binds a socket that shares its port with others of this user (SO_REUSEPORT): the kernel deals the datagrams out among
 * them. Linux only; it goes through libc, since Deno has no such option for UDP.
 *
 * @param options Where to bind it.
 * @returns The socket.
 * @throws {TypeError} If the hostname is not an IP address.
 * @throws {Deno.errors.AddrInUse} If the port is taken by a socket that does not share it, or by another user's.
 * @throws {Deno.errors.NotCapable} If the permission `--allow-ffi` is missing.
 * @throws {Deno.errors.NotSupported} If this is not Linux.
 */
export function bindReuseport(options: ReuseportOptions): UdpSocket {
  const { hostname, incomingCpu } = options;
  const address = encodeAddress(hostname, options.port);
  const libc = openLibc();
  const family = address.length === MAX_ADDRESS_BYTES ? linux.AF_INET6 : linux.AF_INET;
  const fd = libc.socket(family, linux.SOCK_DGRAM | linux.SOCK_CLOEXEC, 0);
  if (fd < 0) throw systemError(libc, "cannot make a socket");

  let memory: SocketMemory;
  try {
    setOption(libc, fd, linux.SO_REUSEPORT, Int32Array.of(1));
    const timeout = BigInt64Array.of(0n, BigInt(RECEIVE_TIMEOUT_MS) * 1000n); // struct timeval: s, us
    setOption(libc, fd, linux.SO_RCVTIMEO, timeout);
    setOption(libc, fd, linux.SO_SNDTIMEO, timeout);
    if (incomingCpu !== undefined) setOption(libc, fd, linux.SO_INCOMING_CPU, Int32Array.of(incomingCpu));
    if (libc.bind(fd, address, address.length) !== 0) {
      throw systemError(libc, `cannot bind ${hostname} port ${options.port}`);
    }
    if (libc.getsockname(fd, address, Uint32Array.of(address.length)) !== 0) {
      throw systemError(libc, "cannot tell the socket's port");
    }
    memory = layOutMemory(address.length);
  } catch (error) {
    libc.close(fd);
    throw error;
  }
  let closed = false;

  async function serve(respond: Respond): Promise<void> {
    while (!closed) {
      const isIdle = answerBatches(libc, fd, memory, respond);
      for (let turns = isIdle ? TURNS_WHEN_IDLE : 1; turns > 0; turns--) await turnOfEventLoop();
    }
  }

  function close(): void {
    if (closed) return;
    closed = true;
    libc.close(fd);
  }

  return { hostname, port: portOf(address), serve, close };
}

/**
 * Answers what is there, batch by batch, until the event loop is due a turn.
 *
 * @returns Whether that is because nothing came for a while.
 */
function answerBatches(libc: Libc, fd: number, memory: SocketMemory, respond: Respond): boolean {
  const { received, receivedLengths, replyLengths, slots } = memory;
  for (let batch = 0; batch < BATCHES_PER_TURN; batch++) {
    // Waits for the first datagram only, then takes what else is there.
    const count = libc.recvmmsg(fd, received, BATCH, linux.MSG_WAITFORONE, null);
    if (count <= 0) {
      const code = errno(libc);
      if (code === linux.EAGAIN || code === linux.EINTR) return true;
      throw systemError(libc, "cannot receive");
    }
    let begin = 0;
    for (let i = 0; i < count; i++) {
      const length = respond(slots[i], receivedLengths[i * (MMSGHDR_BYTES / 4)]);
      if (length > 0) {
        replyLengths[i * (IOVEC_BYTES / 4)] = length;
      } else {
        send(libc, fd, memory, begin, i);
        begin = i + 1;
      }
    }
    send(libc, fd, memory, begin, count);
  }
  return false;
}

/** Sends the replies from `begin` to before `end`. One that cannot be sent is left out: its sender will ask again. */
function send(libc: Libc, fd: number, memory: SocketMemory, begin: number, end: number): void {
  while (begin < end) {
    const replies = begin === 0 ? memory.replies : memory.replies.subarray(begin * MMSGHDR_BYTES);
    const sent = libc.sendmmsg(fd, replies, end - begin, 0);
    begin += sent > 0 ? sent : 1;
  }
}

/** The memory of one socket: views of one buffer. */
interface SocketMemory {
  /** An array of `struct mmsghdr` for what is received. */
  readonly received: Uint8Array<ArrayBuffer>;
  /** The same for the replies: their addresses and contents are those of what was received. */
  readonly replies: Uint8Array<ArrayBuffer>;
  /** The lengths of what was received, one in every 16 elements. */
  readonly receivedLengths: Uint32Array;
  /** Where the lengths of the replies go, one in every 4 elements. */
  readonly replyLengths: Uint32Array;
  /** Where the datagrams are. */
  readonly slots: DataView[];
}

/**
 * Makes the memory that one socket shares with the kernel and writes all that stays the same from call to call.
 *
 * The kernel knows the parts by their addresses only, which keep nothing alive: V8 would collect a part that nobody uses
 * from JavaScript, and from then on nothing could be received into it. So all is in one buffer, and every system call is
 * given a view of it. It is far above the 64 bytes up to which V8 keeps an array on its own heap, where it may move.
 */
function layOutMemory(addressLength: number): SocketMemory {
  const buffer = new ArrayBuffer(MEMORY_BYTES);
  const view = new DataView(buffer);
  const base = Deno.UnsafePointer.value(Deno.UnsafePointer.of(buffer));
  const setPointer = (offset: number, target: number) => view.setBigUint64(offset, base + BigInt(target), true);

  for (let i = 0; i < BATCH; i++) {
    const slot = SLOTS + i * SLOT_BYTES;
    for (const [headers, iovecs] of [[RECEIVED, RECEIVED_IOVECS], [REPLIES, REPLY_IOVECS]]) {
      const header = headers + i * MMSGHDR_BYTES;
      const iovec = iovecs + i * IOVEC_BYTES;
      setPointer(header + MSG_NAME, ADDRESSES + i * ADDRESS_STRIDE);
      view.setUint32(header + MSG_NAMELEN, addressLength, true);
      setPointer(header + MSG_IOV, iovec);
      view.setUint32(header + MSG_IOVLEN, 1, true);
      setPointer(iovec + IOV_BASE, slot);
      view.setUint32(iovec + IOV_LEN, SLOT_BYTES, true);
    }
  }
  return {
    received: new Uint8Array(buffer, RECEIVED, BATCH * MMSGHDR_BYTES),
    replies: new Uint8Array(buffer, REPLIES, BATCH * MMSGHDR_BYTES),
    receivedLengths: new Uint32Array(buffer, RECEIVED + MSG_LEN),
    replyLengths: new Uint32Array(buffer, REPLY_IOVECS + IOV_LEN),
    slots: Array.from({ length: BATCH }, (_, i) => new DataView(buffer, SLOTS + i * SLOT_BYTES, SLOT_BYTES)),
  };
}

function setOption(
  libc: Libc,
  fd: number,
  option: number,
  value: Int32Array<ArrayBuffer> | BigInt64Array<ArrayBuffer>,
) {
  if (libc.setsockopt(fd, linux.SOL_SOCKET, option, value, value.byteLength) !== 0) {
    throw systemError(libc, `cannot set socket option ${option}`);
  }
}

/** Lets timers, signals and messages have a turn. `setTimeout` would take a millisecond or two for it. */
function turnOfEventLoop(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
