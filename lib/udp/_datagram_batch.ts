import { errno, type Libc, linux, systemError } from "../libc/libc.ts";
import { SLOT_BYTES } from "./udp_socket.ts";

/** How many datagrams one system call takes at most. */
export const BATCH = 64;

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

/**
 * Where datagrams come one by one, recvfrom and sendto take 0.3 us less each than the calls for many. So after a receive of only
 * one, so many are made with recvfrom before another looks whether there are more by now.
 */
const SINGLES = 7;

/** `struct sockaddr_in6` rounded up, so that every address begins at a multiple of its alignment. */
const ADDRESS_STRIDE = 32;

// The parts of the one block of memory that the kernel and this program share, as offsets into it.
const RECEIVED = 0;
const REPLIES = RECEIVED + BATCH * MMSGHDR_BYTES;
const RECEIVED_IOVECS = REPLIES + BATCH * MMSGHDR_BYTES;
const REPLY_IOVECS = RECEIVED_IOVECS + BATCH * IOVEC_BYTES;
const ADDRESSES = REPLY_IOVECS + BATCH * IOVEC_BYTES;
const SLOTS = ADDRESSES + BATCH * ADDRESS_STRIDE;
const ADDRESS_LENGTH = SLOTS + BATCH * SLOT_BYTES;
const MEMORY_BYTES = ADDRESS_LENGTH + 4;

/**
 * Receives and sends datagrams many at a time (recvmmsg, sendmmsg), and one at a time where they come one by one: they are received into slots, and the replies are sent
 * from the same slots, each to where its datagram came from. Allocates nothing per datagram.
 *
 * The kernel knows the memory by its addresses only, which keep nothing alive: V8 would collect a part that nobody uses from
 * JavaScript, and from then on nothing could be received into it. So all is in one buffer, and every system call is given a
 * view of it. It is far above the 64 bytes up to which V8 keeps an array on its own heap, where it may move.
 */
export class DatagramBatch {
  /** Where the datagrams are. */
  readonly slots: readonly DataView[];
  /** Where they came from, as the kernel writes it: `struct sockaddr_in` or `struct sockaddr_in6`. */
  readonly senders: readonly DataView[];

  readonly #libc: Libc;
  readonly #fd: number;
  readonly #addressLength: number;
  /** An array of `struct mmsghdr` for what is received. */
  readonly #received: Uint8Array<ArrayBuffer>;
  /** The same for the replies: their addresses and contents are those of what was received. */
  readonly #replies: Uint8Array<ArrayBuffer>;
  /** The lengths of what was received, one in every 16 elements. */
  readonly #receivedLengths: Uint32Array;
  /** Where the lengths of the replies go, one in every 4 elements. */
  readonly #replyLengths: Uint32Array;

  /** For recvfrom and sendto: every slot and address as bytes, and where the length of an address is written. */
  readonly #slotBytes: readonly Uint8Array<ArrayBuffer>[];
  readonly #senderBytes: readonly Uint8Array<ArrayBuffer>[];
  readonly #senderLength: Uint8Array<ArrayBuffer>;
  /** How many of the next receives are to be made with recvfrom. */
  #singles = 0;

  /**
   * Makes the memory, and writes all that stays the same from call to call.
   *
   * @param libc The functions of libc.
   * @param fd The socket.
   * @param addressLength The length of its kind of address in bytes; 0 for a socket that is connected.
   */
  constructor(libc: Libc, fd: number, addressLength: number) {
    this.#libc = libc;
    this.#fd = fd;
    this.#addressLength = addressLength;
    const memory = new ArrayBuffer(MEMORY_BYTES);
    const view = new DataView(memory);
    const base = Deno.UnsafePointer.value(Deno.UnsafePointer.of(memory));
    const setPointer = (offset: number, target: number) => view.setBigUint64(offset, base + BigInt(target), true);

    for (let i = 0; i < BATCH; i++) {
      for (const [headers, iovecs] of [[RECEIVED, RECEIVED_IOVECS], [REPLIES, REPLY_IOVECS]]) {
        const header = headers + i * MMSGHDR_BYTES;
        const iovec = iovecs + i * IOVEC_BYTES;
        if (addressLength > 0) setPointer(header + MSG_NAME, ADDRESSES + i * ADDRESS_STRIDE);
        view.setUint32(header + MSG_NAMELEN, addressLength, true);
        setPointer(header + MSG_IOV, iovec);
        view.setUint32(header + MSG_IOVLEN, 1, true);
        setPointer(iovec + IOV_BASE, SLOTS + i * SLOT_BYTES);
        view.setUint32(iovec + IOV_LEN, SLOT_BYTES, true);
      }
    }
    this.#received = new Uint8Array(memory, RECEIVED, BATCH * MMSGHDR_BYTES);
    this.#replies = new Uint8Array(memory, REPLIES, BATCH * MMSGHDR_BYTES);
    this.#receivedLengths = new Uint32Array(memory, RECEIVED + MSG_LEN);
    this.#replyLengths = new Uint32Array(memory, REPLY_IOVECS + IOV_LEN);
    const views = <V>(
      View: new (memory: ArrayBuffer, begin: number, bytes: number) => V,
      begin: number,
      bytes: number,
    ) => Array.from({ length: BATCH }, (_, i) => new View(memory, begin + i * bytes, bytes));
    this.slots = views(DataView<ArrayBuffer>, SLOTS, SLOT_BYTES);
    this.senders = views(DataView<ArrayBuffer>, ADDRESSES, ADDRESS_STRIDE);
    this.#slotBytes = views(Uint8Array<ArrayBuffer>, SLOTS, SLOT_BYTES);
    this.#senderBytes = views(Uint8Array<ArrayBuffer>, ADDRESSES, ADDRESS_STRIDE);
    this.#senderLength = new Uint8Array(memory, ADDRESS_LENGTH, 4);
    view.setUint32(ADDRESS_LENGTH, addressLength, true);
  }

  /**
   * Waits for a datagram, as long as the socket's receive timeout, and takes what else is there.
   *
   * @returns How many there are, in the first slots; 0 if none came in time.
   * @throws {Error} If the socket cannot receive.
   */
  receive(): number {
    return this.#singles > 0 ? this.#receiveOne() : this.#receive(linux.MSG_WAITFORONE);
  }

  /**
   * Takes what is there, without waiting.
   *
   * @returns How many there are, in the first slots.
   * @throws {Error} If the socket cannot receive.
   */
  receiveNow(): number {
    return this.#receive(linux.MSG_DONTWAIT);
  }

  #receive(flags: number): number {
    const count = this.#libc.recvmmsg(this.#fd, this.#received, BATCH, flags, null);
    if (count === 1) this.#singles = SINGLES;
    return count > 0 ? count : this.#nothing();
  }

  #receiveOne(): number {
    this.#singles--;
    const slot = this.#slotBytes[0];
    const sender = this.#senderBytes[0];
    const length = this.#libc.recvfrom(this.#fd, slot, SLOT_BYTES, 0, sender, this.#senderLength);
    if (length < 0) return this.#nothing();
    this.#receivedLengths[0] = length;
    return 1;
  }

  /** Why nothing was received: if that is no reason to stop, 0. */
  #nothing(): number {
    const code = errno(this.#libc);
    if (code === linux.EAGAIN || code === linux.EINTR || code === linux.ECONNREFUSED) return 0;
    throw systemError(this.#libc, "cannot receive");
  }

  /** The length in bytes of the datagram in a slot; the slot's if it was longer. */
  lengthOf(slot: number): number {
    return this.#receivedLengths[slot * (MMSGHDR_BYTES / 4)];
  }

  /** Sets the length in bytes of the reply in a slot. */
  setReplyLength(slot: number, length: number): void {
    this.#replyLengths[slot * (IOVEC_BYTES / 4)] = length;
  }

  /**
   * Sends the replies in the slots from `begin` to before `end`. One that cannot be sent is left out, as if it got lost.
   *
   * @returns The number of the error because of which one was left out last; 0 if none was.
   */
  send(begin: number, end: number): number {
    if (end - begin === 1 && this.#addressLength > 0) return this.#sendOne(begin);
    let code = 0;
    while (begin < end) {
      const replies = begin === 0 ? this.#replies : this.#replies.subarray(begin * MMSGHDR_BYTES);
      const sent = this.#libc.sendmmsg(this.#fd, replies, end - begin, 0);
      if (sent <= 0) code = errno(this.#libc);
      begin += sent > 0 ? sent : 1;
    }
    return code;
  }

  #sendOne(slot: number): number {
    const length = this.#replyLengths[slot * (IOVEC_BYTES / 4)];
    const reply = this.#slotBytes[slot];
    const receiver = this.#senderBytes[slot];
    const sent = this.#libc.sendto(this.#fd, reply, length, 0, receiver, this.#addressLength);
    return sent < 0 ? errno(this.#libc) : 0;
  }
}
