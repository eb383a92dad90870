import { linux, systemError } from "../libc/libc.ts";
import { KernelMemory } from "./_kernel_memory.ts";
import {
  ADDRESS_STRIDE,
  cmsghdr,
  CONTROL_STRIDE,
  iovec,
  IOVEC_BYTES,
  mmsghdr,
  MMSGHDR_BYTES,
  SEGMENT_CONTROL_BYTES,
} from "./_msghdr.ts";
import type { RawSocket } from "./raw_socket.ts";
import { SLOT_BYTES } from "./udp_socket.ts";

/** The byte order of copies in 32-bit words. Imported, it would make a datagram 20 % dearer: V8 would not inline it. */
const LITTLE_ENDIAN = true;

/** How many messages a system call receives at most. */
export const MAX_MESSAGES = 64;

/**
 * Room for 128 datagrams of a slot's length: Linux merges no more into a message. The kernel drops the bytes that do
 * not fit.
 */
const MESSAGE_BYTES = 128 * SLOT_BYTES;
/**
 * The distance between two messages: a cache line more, or else the beginnings of all messages would compete for a few
 * cache lines.
 */
const MESSAGE_STRIDE = MESSAGE_BYTES + 64;

/**
 * For how long receives may fail in a row before that counts as an error, in ms, and how many times. A receive fails if
 * it brings nothing although the socket has something to tell. The kernel may be short of memory for a moment.
 */
const MAX_FAILING_MS = 5000;
/** How many times receives may fail in a row: see {@linkcode MAX_FAILING_MS}. */
const MAX_FAILURES = 50;

/** The length of an IPv6 address in 32-bit words. */
const IPV6_WORDS = 4;

/** How a {@linkcode ReceiveBatch} differs from the defaults. */
export interface ReceiveBatchOptions {
  /**
   * How many receives use recvmsg after one that brought a single message, before recvmmsg is tried again. For a single
   * message, recvmsg takes less time; 0 is best where a single message is followed by another at once.
   *
   * @default {7}
   */
  singleReceives?: number;
}

// The offsets of the parts of the memory.
const HEADERS = 0;
const IOVECS = HEADERS + MAX_MESSAGES * MMSGHDR_BYTES;
const CONTROLS = IOVECS + MAX_MESSAGES * IOVEC_BYTES;
const ADDRESSES = CONTROLS + MAX_MESSAGES * CONTROL_STRIDE;
const BUFFERS = ADDRESSES + MAX_MESSAGES * ADDRESS_STRIDE;
const MEMORY_BYTES = BUFFERS + MAX_MESSAGES * MESSAGE_STRIDE;

const HEADER_WORDS = MMSGHDR_BYTES / 4;
const CONTROL_WORDS = CONTROL_STRIDE / 4;

/**
 * Receives messages: many at a time (recvmmsg), or one (recvmsg) while they come one by one.
 *
 * A message is a datagram, or several of one sender and of the same length (the last may be shorter). The kernel
 * carries them through all its layers as one packet, because the sender sent them as one or because they came in a row
 * (UDP_GRO). Most of the gain comes from there, not from the system call for many: with 64 requests in flight in one
 * process, 340,000 a second become 4 million.
 *
 * Receiving allocates nothing.
 */
export class ReceiveBatch {
  /** The sender of each message: a `struct sockaddr_in` or `struct sockaddr_in6`, see `socket_address.ts`. */
  readonly senders: readonly DataView[];
  /**
   * This machine's address to which the open message came, in the machine's byte order, for an answer from there; of
   * length 0 unless the socket tells it: see `RawSocket.useLocalAddresses`.
   */
  readonly localAddress: Uint32Array<ArrayBuffer>;

  readonly #socket: RawSocket;
  readonly #memory = new KernelMemory(MEMORY_BYTES);
  readonly #buffers: DataView;
  readonly #headersPointer: Deno.PointerValue;
  /** How many bytes the kernel may write into the control data of a message. */
  readonly #controlBytes: number;
  /** How many bytes of control data each message has: 0, or those with this machine's address. */
  readonly #infoBytes: number;
  /** Where the address is, in 32-bit words, if nothing comes before. */
  readonly #infoAddress: number;
  /** The headers and the control data of the messages, as 32-bit words. */
  readonly #headers: Uint32Array<ArrayBuffer>;
  readonly #controls: Uint32Array<ArrayBuffer>;
  /** How many messages the last receive brought. */
  #received = 0;
  /** How many headers the last receive may have written to. */
  #touched = 0;
  /** How many receives have failed in a row, and when the first one did, in ms on the monotonic clock. */
  #failures = 0;
  #failingSinceMs = 0;
  readonly #maxSingleReceives: number;
  /** How many of the next receives use recvmsg. */
  #singleReceives = 0;
  /**
   * The open message: where in the buffers its next datagram begins and its last one ends, and how long each datagram
   * is.
   */
  #next = 0;
  #end = 0;
  #datagramBytes = 0;

  /**
   * Allocates the memory, and writes the fields that stay the same from call to call.
   *
   * @param socket The socket, bound or connected.
   * @param options How the batch differs from the defaults.
   */
  constructor(socket: RawSocket, { singleReceives = 7 }: ReceiveBatchOptions = {}) {
    this.#socket = socket;
    this.#maxSingleReceives = singleReceives;
    const memory = this.#memory;
    const { packetInfo } = socket;
    this.#infoBytes = packetInfo.bytes;
    this.#infoAddress = packetInfo.address / 4;
    this.localAddress = new Uint32Array(packetInfo.addressWords);
    const segmentBytes = socket.trySetUdpOption(linux.UDP_GRO, 1) ? SEGMENT_CONTROL_BYTES : 0;
    this.#controlBytes = segmentBytes + packetInfo.bytes;
    for (let i = 0; i < MAX_MESSAGES; i++) {
      const header = HEADERS + i * MMSGHDR_BYTES;
      const part = IOVECS + i * IOVEC_BYTES;
      memory.setPointer(header + mmsghdr.name, ADDRESSES + i * ADDRESS_STRIDE);
      memory.setUint32(header + mmsghdr.nameLength, socket.addressLength);
      memory.setPointer(header + mmsghdr.iovecs, part);
      memory.setUint32(header + mmsghdr.iovecCount, 1);
      memory.setPointer(header + mmsghdr.control, CONTROLS + i * CONTROL_STRIDE);
      memory.setUint32(header + mmsghdr.controlLength, this.#controlBytes);
      memory.setPointer(part + iovec.base, BUFFERS + i * MESSAGE_STRIDE);
      memory.setUint32(part + iovec.length, MESSAGE_BYTES);
    }
    this.#headersPointer = memory.pointerTo(HEADERS);
    this.#headers = new Uint32Array(memory.buffer, HEADERS, MAX_MESSAGES * HEADER_WORDS);
    this.#controls = new Uint32Array(memory.buffer, CONTROLS, MAX_MESSAGES * CONTROL_WORDS);
    this.senders = memory.views(MAX_MESSAGES, ADDRESSES, ADDRESS_STRIDE, ADDRESS_STRIDE);
    this.#buffers = new DataView(memory.buffer, BUFFERS, MAX_MESSAGES * MESSAGE_STRIDE);
  }

  /**
   * Waits for a message, at most for the socket's receive timeout, and receives the messages that are in the queue by
   * then.
   *
   * @returns How many messages it received; 0 if none came before the timeout, or if the receive failed.
   * @throws {Error} If receives have failed for {@linkcode MAX_FAILING_MS}.
   */
  receive(): number {
    const messages = this.#receive(0);
    if (messages === 0) this.#checkFailure();
    return messages;
  }

  /**
   * Whether {@linkcode receive} has failed again: the next one should wait a little. (A single failure may be a
   * datagram that came right after the timeout.)
   */
  get isFailing(): boolean {
    return this.#failures > 1;
  }

  /**
   * Receives messages that are in the queue, and does not wait. It checks no error, since callers poll in a loop:
   * {@linkcode receive} does.
   *
   * @returns How many messages it received.
   */
  poll(): number {
    return this.#receive(linux.MSG_DONTWAIT);
  }

  /** How many datagrams the last receive brought, in all of its messages. */
  get datagrams(): number {
    if (this.#received === 1) return this.datagramsIn(0); // the common case while messages come one by one
    let datagrams = 0;
    for (let message = 0; message < this.#received; message++) datagrams += this.datagramsIn(message);
    return datagrams;
  }

  /** How many datagrams a message of the last receive has, at least 1. */
  datagramsIn(message: number): number {
    if (this.#isOneDatagram(message)) return 1;
    return Math.ceil(this.#bytesOf(message) / this.#datagramBytesOf(message));
  }

  /**
   * Begins to read a message.
   *
   * @param message The number of the message in the last receive, from 0.
   * @returns How many datagrams the message has, at least 1.
   */
  open(message: number): number {
    this.#next = message * MESSAGE_STRIDE;
    this.#end = this.#next + this.#bytesOf(message);
    this.#datagramBytes = this.#datagramBytesOf(message);
    if (this.#infoBytes > 0) this.#readLocalAddress(message);
    return this.datagramsIn(message);
  }

  /**
   * Copies the next datagram of the open message, and cuts it off after {@linkcode SLOT_BYTES}.
   *
   * @param slot The target, at least {@linkcode SLOT_BYTES}.
   * @returns How many bytes it copied.
   */
  read(slot: DataView): number {
    const begin = this.#next;
    const length = Math.min(this.#datagramBytes, this.#end - begin, SLOT_BYTES);
    for (let i = 0; i < length; i += 4) {
      slot.setUint32(i, this.#buffers.getUint32(begin + i, LITTLE_ENDIAN), LITTLE_ENDIAN);
    }
    this.#next = begin + this.#datagramBytes;
    return length;
  }

  #bytesOf(message: number): number {
    return this.#headers[message * HEADER_WORDS + mmsghdr.received / 4];
  }

  #datagramBytesOf(message: number): number {
    return this.#isOneDatagram(message)
      ? this.#bytesOf(message)
      : this.#controls[message * CONTROL_WORDS + cmsghdr.value / 4];
  }

  /**
   * Whether a message is a single datagram: the kernel then writes no length of segments. (Otherwise, it writes that
   * length first.)
   */
  #isOneDatagram(message: number): boolean {
    return this.#controlBytesOf(message) <= this.#infoBytes;
  }

  #controlBytesOf(message: number): number {
    return this.#headers[message * HEADER_WORDS + mmsghdr.controlLength / 4];
  }

  #readLocalAddress(message: number): void {
    const address = this.localAddress;
    const offset = this.#controlBytesOf(message) - this.#infoBytes; // nothing comes behind it
    const begin = message * CONTROL_WORDS + offset / 4 + this.#infoAddress;
    for (let i = 0; i < address.length; i++) address[i] = this.#controls[begin + i];
    // A message of IPv6 may come to a multicast address, from which nobody sends: then the kernel chooses one.
    const isMulticast = address.length === IPV6_WORDS && (address[0] & 0xff) === 0xff;
    if (offset < 0 || isMulticast) address.fill(0);
  }

  #receive(flags: number): number {
    return this.#singleReceives > 0 ? this.#receiveOne(flags) : this.#receiveMany(flags | linux.MSG_WAITFORONE);
  }

  #receiveMany(flags: number): number {
    this.#resetHeaders();
    const { libc, fd } = this.#socket;
    const count = libc.recvmmsg(fd, this.#headersPointer, MAX_MESSAGES, flags, null);
    if (count === 1) this.#singleReceives = this.#maxSingleReceives;
    this.#touched = Math.max(count, 1); // a receive that fails may have written to the first header
    this.#received = Math.max(count, 0);
    if (count > 0) this.#failures = 0;
    return this.#received;
  }

  #receiveOne(flags: number): number {
    this.#resetHeaders();
    const { libc, fd } = this.#socket;
    const bytes = libc.recvmsg(fd, this.#headersPointer, flags);
    this.#touched = 1;
    this.#received = bytes < 0 ? 0 : 1;
    if (bytes < 0) return 0;
    this.#failures = 0;
    this.#singleReceives--;
    this.#headers[mmsghdr.received / 4] = bytes;
    return 1;
  }

  /** Restores the lengths of the control data, over which the kernel wrote how much of it there was. */
  #resetHeaders(): void {
    for (let message = 0; message < this.#touched; message++) {
      this.#headers[message * HEADER_WORDS + mmsghdr.controlLength / 4] = this.#controlBytes;
    }
  }

  /** Finds out whether the last receive, which brought nothing, has failed. Throws if receives keep failing. */
  #checkFailure(): void {
    if (!this.#socket.isReceivable()) {
      this.#failures = 0; // nothing came
      return;
    }
    const nowMs = performance.now();
    if (this.#failures++ === 0) this.#failingSinceMs = nowMs;
    const failingMs = nowMs - this.#failingSinceMs;
    if (failingMs < MAX_FAILING_MS || this.#failures < MAX_FAILURES) return;
    const failure = `the socket cannot receive: ${this.#failures} receives failed in ${Math.round(failingMs)} ms`;
    throw systemError(this.#socket.libc, failure);
  }
}
