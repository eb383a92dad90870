import { errno, linux } from "../libc/libc.ts";
import { KernelMemory } from "./_kernel_memory.ts";
import { ADDRESS_STRIDE, cmsghdr, CONTROL_BYTES, iovec, IOVEC_BYTES, mmsghdr, MMSGHDR_BYTES } from "./_msghdr.ts";
import type { RawSocket } from "./_raw_socket.ts";
import { SLOT_BYTES } from "./udp_socket.ts";

/** For how many datagrams there is room. */
const SLOTS = 256;

/** How many datagrams of one receiver the kernel takes as one message: Linux had 64 at first, and has 128 now. */
const MAX_SEGMENTS = 64;

/** `struct cmsghdr` and the length of a datagram, 16 bits. */
const SEGMENT_CONTROL_BYTES = 18;

// The parts of the memory, as offsets. There may be as many messages as datagrams.
const HEADERS = 0;
const IOVECS = HEADERS + SLOTS * MMSGHDR_BYTES;
const CONTROLS = IOVECS + SLOTS * IOVEC_BYTES;
const ADDRESSES = CONTROLS + SLOTS * CONTROL_BYTES;
const BUFFERS = ADDRESSES + SLOTS * ADDRESS_STRIDE;
const MEMORY_BYTES = BUFFERS + SLOTS * SLOT_BYTES;

const HEADER_WORDS = MMSGHDR_BYTES / 4;
const IOVEC_WORDS = IOVEC_BYTES / 4;
const CONTROL_WORDS = CONTROL_BYTES / 4;
const ADDRESS_WORDS = ADDRESS_STRIDE / 4;

/**
 * Collects datagrams and sends them, many at a time (sendmmsg).
 *
 * Datagrams that follow one another, to the same receiver and of the same length, are one message: the kernel carries it through
 * all its layers as one, and takes it apart only where the receiver or the network card wants it apart (UDP_SEGMENT). See
 * `ReceiveBatch` for what that gains.
 *
 * Allocates nothing per datagram.
 */
export class SendBatch {
  readonly #socket: RawSocket;
  readonly #memory = new KernelMemory(MEMORY_BYTES);
  readonly #slots: readonly DataView[];
  readonly #headers: Uint32Array<ArrayBuffer>;
  readonly #iovecs: Uint32Array<ArrayBuffer>;
  readonly #controls: Uint32Array<ArrayBuffer>;
  readonly #addresses: Uint32Array<ArrayBuffer>;
  /** The addresses of all iovecs, two words each. */
  readonly #iovecAddresses: Uint32Array<ArrayBuffer>;
  /** For the system calls: the addresses of headers, datagrams and receivers. */
  readonly #headerPointers: Deno.PointerValue[];
  readonly #slotPointer: Deno.PointerValue;
  readonly #receiverPointer: Deno.PointerValue;
  /** How many 32-bit words of a receiver's address count; none for a socket that is connected. */
  readonly #addressWords: number;
  #maxSegments: number;

  /** Where what is added goes. */
  #receiver: DataView | undefined;
  /** How many datagrams there are, and how many messages. */
  #datagrams = 0;
  #messages = 0;
  /** Of the last message: how many datagrams it is, and of how many bytes each; none can follow if that is -1. */
  #segments = 0;
  #segmentBytes = -1;
  /** The number of the error because of which a datagram was left out last; 0 if none was. */
  #code = 0;

  /**
   * Makes the memory, and writes all that stays the same from call to call.
   *
   * @param socket The socket.
   * @param isConnected Whether it is connected: then all goes to where it is.
   */
  constructor(socket: RawSocket, isConnected = false) {
    this.#socket = socket;
    this.#addressWords = isConnected ? 0 : socket.addressLength / 4;
    // To ask for no segments changes nothing, and shows whether the kernel knows of them.
    this.#maxSegments = socket.trySetUdpOption(linux.UDP_SEGMENT, 0) ? MAX_SEGMENTS : 1;
    const memory = this.#memory;
    for (let i = 0; i < SLOTS; i++) {
      const header = HEADERS + i * MMSGHDR_BYTES;
      const control = CONTROLS + i * CONTROL_BYTES;
      if (!isConnected) memory.setPointer(header + mmsghdr.name, ADDRESSES + i * ADDRESS_STRIDE);
      memory.setUint32(header + mmsghdr.nameLength, this.#addressWords * 4);
      memory.setPointer(header + mmsghdr.control, control);
      memory.setUint32(control + cmsghdr.length, SEGMENT_CONTROL_BYTES);
      memory.setUint32(control + cmsghdr.level, linux.SOL_UDP);
      memory.setUint32(control + cmsghdr.type, linux.UDP_SEGMENT);
      memory.setPointer(IOVECS + i * IOVEC_BYTES + iovec.base, BUFFERS + i * SLOT_BYTES);
    }
    this.#slots = memory.views(SLOTS, BUFFERS, SLOT_BYTES, SLOT_BYTES);
    const words = (begin: number, end: number) => new Uint32Array(memory.buffer, begin, (end - begin) / 4);
    this.#headers = words(HEADERS, IOVECS);
    this.#iovecs = words(IOVECS, CONTROLS);
    this.#controls = words(CONTROLS, ADDRESSES);
    this.#addresses = words(ADDRESSES, BUFFERS);
    this.#iovecAddresses = addressesOf(memory, IOVECS, IOVEC_BYTES);
    this.#headerPointers = Array.from({ length: SLOTS }, (_, i) => memory.pointerTo(HEADERS + i * MMSGHDR_BYTES));
    this.#slotPointer = memory.pointerTo(BUFFERS);
    this.#receiverPointer = isConnected ? null : memory.pointerTo(ADDRESSES);
  }

  /** Where the next datagram is to be written, {@linkcode SLOT_BYTES}. */
  get slot(): DataView {
    return this.#slots[this.#datagrams];
  }

  /** From now on, what is added goes to this address, which must stay as it is until all of that is sent. */
  sendTo(receiver: DataView): void {
    this.#receiver = receiver;
    if (!this.#isLastReceiver(receiver)) this.#segmentBytes = -1;
  }

  /** Adds the datagram in the {@linkcode slot}. If there is no room for another one, all are sent. */
  add(length: number): void {
    const slot = this.#datagrams++;
    this.#iovecs[slot * IOVEC_WORDS + iovec.length / 4] = length;
    if (length === this.#segmentBytes && this.#segments < this.#maxSegments) {
      this.#setSegments(this.#messages - 1, ++this.#segments, length);
    } else {
      this.#begin(this.#messages++, slot, this.#receiver);
      this.#segments = 1;
      this.#segmentBytes = length === 0 ? -1 : length; // many times nothing is one time nothing
    }
    if (this.#datagrams === SLOTS) this.#sendAll();
  }

  /**
   * Sends what was added. What cannot be sent is left out, as if it got lost.
   *
   * @returns The number of the error because of which something was left out last; 0 if nothing was.
   */
  flush(): number {
    if (this.#datagrams > 0) this.#sendAll();
    const code = this.#code;
    this.#code = 0;
    return code;
  }

  /** Begins a message with the datagram in a slot. */
  #begin(message: number, slot: number, receiver: DataView | undefined): void {
    const header = message * HEADER_WORDS + mmsghdr.iovecs / 4;
    this.#headers[header] = this.#iovecAddresses[2 * slot];
    this.#headers[header + 1] = this.#iovecAddresses[2 * slot + 1];
    this.#setSegments(message, 1, 0);
    const address = message * ADDRESS_WORDS;
    for (let i = 0; i < this.#addressWords; i++) this.#addresses[address + i] = receiver!.getUint32(4 * i, true);
  }

  #setSegments(message: number, segments: number, bytes: number): void {
    const header = message * HEADER_WORDS;
    this.#headers[header + mmsghdr.iovecCount / 4] = segments;
    this.#headers[header + mmsghdr.controlLength / 4] = segments > 1 ? CONTROL_BYTES : 0;
    this.#controls[message * CONTROL_WORDS + cmsghdr.value / 4] = bytes;
  }

  #isLastReceiver(receiver: DataView): boolean {
    const address = (this.#messages - 1) * ADDRESS_WORDS;
    if (address < 0) return false;
    for (let i = 0; i < this.#addressWords; i++) {
      if (this.#addresses[address + i] !== receiver.getUint32(4 * i, true)) return false;
    }
    return true;
  }

  #sendAll(): void {
    if (this.#datagrams === 1) this.#sendOne();
    else this.#sendMany();
    this.#datagrams = this.#messages = 0;
    this.#segmentBytes = -1;
  }

  /** Where datagrams come one by one, sendto takes less time than the call for many. */
  #sendOne(): void {
    const { libc, fd } = this.#socket;
    const length = this.#iovecs[iovec.length / 4];
    const sent = libc.sendto(fd, this.#slotPointer, length, 0, this.#receiverPointer, this.#addressWords * 4);
    if (sent < 0) this.#code = errno(libc);
  }

  #sendMany(): void {
    const { libc, fd } = this.#socket;
    let apart = -1;
    for (let message = 0; message < this.#messages;) {
      const sent = libc.sendmmsg(fd, this.#headerPointers[message], this.#messages - message, 0);
      if (sent > 0) {
        if (message === apart) this.#maxSegments = 1; // so that was why
        message += sent;
        continue;
      }
      const code = errno(libc);
      if (this.#segmentsOf(message) > 1 && mayBeBecauseOfSegments(code)) {
        this.#takeApart(apart = message);
      } else {
        this.#code = code;
        message++;
      }
    }
  }

  /** Makes a message of each datagram, from a message on. */
  #takeApart(first: number): void {
    let datagrams = 0;
    for (let message = first; message < this.#messages; message++) datagrams += this.#segmentsOf(message);
    const messages = first + datagrams;
    // From the last one on, since a datagram's own message is never before the one that it was in.
    let slot = this.#datagrams;
    for (let message = this.#messages - 1, target = messages; message >= first; message--) {
      const receiver = this.#addresses.slice(message * ADDRESS_WORDS, (message + 1) * ADDRESS_WORDS);
      const view = new DataView(receiver.buffer);
      for (let left = this.#segmentsOf(message); left > 0; left--) this.#begin(--target, --slot, view);
    }
    this.#messages = messages;
  }

  #segmentsOf(message: number): number {
    return this.#headers[message * HEADER_WORDS + mmsghdr.iovecCount / 4];
  }
}

/** The addresses of as many parts of a memory as there are slots, as two words each. */
function addressesOf(memory: KernelMemory, begin: number, stride: number): Uint32Array<ArrayBuffer> {
  const addresses = new BigUint64Array(SLOTS);
  const base = Deno.UnsafePointer.value(memory.pointerTo(begin));
  for (let i = 0; i < SLOTS; i++) addresses[i] = base + BigInt(i * stride);
  return new Uint32Array(addresses.buffer);
}

/**
 * Whether the kernel may not send several datagrams as one on this way, though it knows how to: some versions of Linux do not through
 * a device that makes no checksums (EIO). EINVAL has other causes too, such as port 0.
 */
function mayBeBecauseOfSegments(code: number): boolean {
  return code === linux.EIO || code === linux.EINVAL;
}
