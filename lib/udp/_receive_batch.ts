import { errno, linux, systemError } from "../libc/libc.ts";
import { KernelMemory } from "./_kernel_memory.ts";
import { ADDRESS_STRIDE, cmsghdr, CONTROL_BYTES, iovec, IOVEC_BYTES, mmsghdr, MMSGHDR_BYTES } from "./_msghdr.ts";
import type { RawSocket } from "./_raw_socket.ts";
import { SLOT_BYTES } from "./udp_socket.ts";

/** How many messages one system call receives at most. */
const MESSAGES = 64;

/** Room for as many datagrams as Linux puts together, 128, of as many bytes as a slot has. What is cut off is as if it got lost. */
const MESSAGE_BYTES = 128 * SLOT_BYTES;
/** A cache line more, so that the beginnings of messages do not all compete for the same few lines of the cache. */
const MESSAGE_STRIDE = MESSAGE_BYTES + 64;

/**
 * Where messages come one by one, recvmsg takes less time than the call for many. So after a receive of only one, so many are made
 * with recvmsg before another looks whether there are more by now.
 */
const SINGLES = 7;

// The parts of the memory, as offsets.
const HEADERS = 0;
const IOVECS = HEADERS + MESSAGES * MMSGHDR_BYTES;
const CONTROLS = IOVECS + MESSAGES * IOVEC_BYTES;
const ADDRESSES = CONTROLS + MESSAGES * CONTROL_BYTES;
const BUFFERS = ADDRESSES + MESSAGES * ADDRESS_STRIDE;
const MEMORY_BYTES = BUFFERS + MESSAGES * MESSAGE_STRIDE;

const HEADER_WORDS = MMSGHDR_BYTES / 4;
const CONTROL_WORDS = CONTROL_BYTES / 4;

/**
 * Receives messages: many at a time (recvmmsg), or one (recvmsg) while they come one by one.
 *
 * A message is what the kernel hands over at once: a datagram, or several of one sender and of the same length (the last may be
 * shorter) that it carried through all its layers as one, because they were sent as one or came in a row (UDP_GRO). That, and not a
 * system call for many, is what a datagram costs little by: 64 requests in flight in one process, 340,000 a second become 4 million.
 *
 * Allocates nothing per message.
 */
export class ReceiveBatch {
  /** Where each message is from, as the kernel writes it: `struct sockaddr_in` or `struct sockaddr_in6`. */
  readonly senders: readonly DataView[];

  readonly #socket: RawSocket;
  readonly #memory = new KernelMemory(MEMORY_BYTES);
  readonly #buffers: DataView;
  readonly #headersPointer: Deno.PointerValue;
  /** How much the kernel may write beside a message: 0 if it puts none together. */
  readonly #controlBytes: number;
  /** The headers and what is beside each message, as 32-bit words. */
  readonly #headers: Uint32Array<ArrayBuffer>;
  readonly #controls: Uint32Array<ArrayBuffer>;
  /** How many messages were received last. */
  #received = 0;
  /** How many headers the kernel may have written to, and how many of the next receives are to be made with recvmsg. */
  #count = 0;
  #singles = 0;
  /** Of the message that is read: where in the buffers its next datagram begins and its last one ends, and how long each is. */
  #next = 0;
  #end = 0;
  #datagramBytes = 0;

  /**
   * Makes the memory, and writes all that stays the same from call to call.
   *
   * @param socket The socket, bound or connected.
   */
  constructor(socket: RawSocket) {
    this.#socket = socket;
    const memory = this.#memory;
    this.#controlBytes = socket.trySetUdpOption(linux.UDP_GRO, 1) ? CONTROL_BYTES : 0;
    for (let i = 0; i < MESSAGES; i++) {
      const header = HEADERS + i * MMSGHDR_BYTES;
      const part = IOVECS + i * IOVEC_BYTES;
      memory.setPointer(header + mmsghdr.name, ADDRESSES + i * ADDRESS_STRIDE);
      memory.setUint32(header + mmsghdr.nameLength, socket.addressLength);
      memory.setPointer(header + mmsghdr.iovecs, part);
      memory.setUint32(header + mmsghdr.iovecCount, 1);
      memory.setPointer(header + mmsghdr.control, CONTROLS + i * CONTROL_BYTES);
      memory.setUint32(header + mmsghdr.controlLength, this.#controlBytes);
      memory.setPointer(part + iovec.base, BUFFERS + i * MESSAGE_STRIDE);
      memory.setUint32(part + iovec.length, MESSAGE_BYTES);
    }
    this.#headersPointer = memory.pointerTo(HEADERS);
    this.#headers = new Uint32Array(memory.buffer, HEADERS, MESSAGES * HEADER_WORDS);
    this.#controls = new Uint32Array(memory.buffer, CONTROLS, MESSAGES * CONTROL_WORDS);
    this.senders = memory.views(MESSAGES, ADDRESSES, ADDRESS_STRIDE, ADDRESS_STRIDE);
    this.#buffers = new DataView(memory.buffer, BUFFERS, MESSAGES * MESSAGE_STRIDE);
  }

  /**
   * Waits for a message, as long as the socket's receive timeout, and takes what else is there.
   *
   * @returns How many there are; 0 if none came in time.
   * @throws {Error} If the socket cannot receive.
   */
  receive(): number {
    return this.#receive(0) || this.#nothing();
  }

  /**
   * The same without waiting.
   *
   * @returns How many there are; 0 also if the socket cannot receive, which `receive` says.
   */
  tryReceive(): number {
    return this.#receive(linux.MSG_DONTWAIT);
  }

  /**
   * Takes all that is there, without waiting.
   *
   * @returns How many messages there are.
   * @throws {Error} If the socket cannot receive.
   */
  receiveNow(): number {
    return this.#receiveMany(linux.MSG_DONTWAIT) || this.#nothing();
  }

  /** How many datagrams the messages have that were received last. */
  get datagrams(): number {
    if (this.#received === 1) return this.#datagramsIn(0); // as mostly, where they come one by one
    let datagrams = 0;
    for (let message = 0; message < this.#received; message++) datagrams += this.#datagramsIn(message);
    return datagrams;
  }

  /**
   * Begins to read a message.
   *
   * @param message Which one, from 0.
   * @returns How many datagrams it is, at least 1.
   */
  open(message: number): number {
    this.#next = message * MESSAGE_STRIDE;
    this.#end = this.#next + this.#bytesOf(message);
    this.#datagramBytes = this.#datagramBytesOf(message);
    return this.#datagramsIn(message);
  }

  /**
   * Copies the next datagram of that message, as far as there is room for it.
   *
   * @param slot Where to: at least {@linkcode SLOT_BYTES}.
   * @returns Its length in bytes; the slot's if it is longer.
   */
  read(slot: DataView): number {
    const begin = this.#next;
    const length = Math.min(this.#datagramBytes, this.#end - begin, SLOT_BYTES);
    for (let i = 0; i < length; i += 4) slot.setUint32(i, this.#buffers.getUint32(begin + i, true), true);
    this.#next = begin + this.#datagramBytes;
    return length;
  }

  #bytesOf(message: number): number {
    return this.#headers[message * HEADER_WORDS + mmsghdr.received / 4];
  }

  #datagramBytesOf(message: number): number {
    // Beside a message that is one datagram, the kernel has written nothing.
    const isOne = this.#headers[message * HEADER_WORDS + mmsghdr.controlLength / 4] === 0;
    return isOne ? this.#bytesOf(message) : this.#controls[message * CONTROL_WORDS + cmsghdr.value / 4];
  }

  #datagramsIn(message: number): number {
    if (this.#headers[message * HEADER_WORDS + mmsghdr.controlLength / 4] === 0) return 1;
    return Math.ceil(this.#bytesOf(message) / this.#datagramBytesOf(message));
  }

  #receive(flags: number): number {
    return this.#singles > 0 ? this.#receiveOne(flags) : this.#receiveMany(flags | linux.MSG_WAITFORONE);
  }

  #receiveMany(flags: number): number {
    this.#reset();
    const { libc, fd } = this.#socket;
    const count = libc.recvmmsg(fd, this.#headersPointer, MESSAGES, flags, null);
    if (count === 1) this.#singles = SINGLES;
    // Where it fails, it may have got as far as the first header.
    this.#count = Math.max(count, 1);
    this.#received = Math.max(count, 0);
    return this.#received;
  }

  #receiveOne(flags: number): number {
    this.#reset();
    const { libc, fd } = this.#socket;
    const bytes = libc.recvmsg(fd, this.#headersPointer, flags);
    this.#count = 1;
    this.#received = bytes < 0 ? 0 : 1;
    if (bytes < 0) return 0;
    this.#singles--;
    this.#headers[mmsghdr.received / 4] = bytes;
    return 1;
  }

  /** The kernel has written over how much it may write beside a message with how much it wrote. */
  #reset(): void {
    for (let message = 0; message < this.#count; message++) {
      this.#headers[message * HEADER_WORDS + mmsghdr.controlLength / 4] = this.#controlBytes;
    }
  }

  /** Why nothing was received: if that is no reason to stop, 0. */
  #nothing(): number {
    const { libc } = this.#socket;
    const code = errno(libc);
    if (code === linux.EAGAIN || code === linux.EINTR || code === linux.ECONNREFUSED) return 0;
    throw systemError(libc, "cannot receive");
  }
}
