import { errno, linux } from "../libc/libc.ts";
import { KernelMemory } from "./_kernel_memory.ts";
import { ADDRESS_STRIDE, cmsghdr, CONTROL_BYTES, iovec, IOVEC_BYTES, mmsghdr, MMSGHDR_BYTES } from "./_msghdr.ts";
import type { RawSocket } from "./_raw_socket.ts";
import { SLOT_BYTES } from "./udp_socket.ts";

/** For how many datagrams there is room, and so for how many messages. */
const DATAGRAMS = 256;

/** How many datagrams of one receiver the kernel takes as one message: Linux had 64 at first, and has 128 now. */
const MAX_SEGMENTS = 64;

/** `struct cmsghdr` and the length of a datagram, 16 bits. */
const SEGMENT_CONTROL_BYTES = 18;

// The parts of the memory, as offsets.
const HEADERS = 0;
const IOVECS = HEADERS + DATAGRAMS * MMSGHDR_BYTES;
const CONTROLS = IOVECS + DATAGRAMS * IOVEC_BYTES;
const ADDRESSES = CONTROLS + DATAGRAMS * CONTROL_BYTES;
const CONTENTS = ADDRESSES + DATAGRAMS * ADDRESS_STRIDE;
const CONTENTS_BYTES = DATAGRAMS * SLOT_BYTES;
const MEMORY_BYTES = CONTENTS + CONTENTS_BYTES;

const HEADER_WORDS = MMSGHDR_BYTES / 4;
const IOVEC_WORDS = IOVEC_BYTES / 4;
const CONTROL_WORDS = CONTROL_BYTES / 4;
const ADDRESS_WORDS = ADDRESS_STRIDE / 4;

/** Stands for no message, and for a number of bytes that no datagram has. */
const NONE = -1;

/**
 * Collects datagrams and sends them, many at a time (sendmmsg).
 *
 * Datagrams that follow one another, to the same receiver and of the same length, are one message: the kernel carries it through
 * all its layers as one, and takes it apart only where the receiver or the network card wants it apart (UDP_SEGMENT). See
 * `ReceiveBatch` for what that gains. Their bytes follow one another without a gap, so that a message is one part of the memory: of
 * 64 parts, the kernel would take a tenth of its time to collect them.
 *
 * Allocates nothing per datagram.
 */
export class SendBatch {
  /** Where a datagram is to be written before it is added, {@linkcode SLOT_BYTES}. */
  readonly slot: DataView<ArrayBuffer> = new DataView(new ArrayBuffer(SLOT_BYTES));

  readonly #socket: RawSocket;
  readonly #memory = new KernelMemory(MEMORY_BYTES);
  readonly #contents: DataView;
  readonly #contentsAddress: bigint;
  // The structures, as 32-bit words; of the iovecs, where each begins as 64-bit words as well.
  readonly #headers: Uint32Array<ArrayBuffer>;
  readonly #iovecs: Uint32Array<ArrayBuffer>;
  readonly #iovecBases: BigUint64Array<ArrayBuffer>;
  readonly #controls: Uint32Array<ArrayBuffer>;
  readonly #addresses: Uint32Array<ArrayBuffer>;
  // For the system calls.
  readonly #headerPointers: Deno.PointerValue[];
  readonly #contentsPointer: Deno.PointerValue;
  readonly #addressPointer: Deno.PointerValue;
  /** How many 32-bit words of a receiver's address count; none for a socket that is connected. */
  readonly #addressWords: number;
  #maxSegments: number;

  /** Where what is added goes. */
  #receiver: DataView | undefined;
  #datagrams = 0;
  #messages = 0;
  /** Of the last message: where it begins and ends in the contents, of how many datagrams, and of how many bytes each. */
  #begin = 0;
  #end = 0;
  #segments = 0;
  #segmentBytes = NONE;
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
    for (let i = 0; i < DATAGRAMS; i++) {
      const header = HEADERS + i * MMSGHDR_BYTES;
      const control = CONTROLS + i * CONTROL_BYTES;
      if (!isConnected) memory.setPointer(header + mmsghdr.name, ADDRESSES + i * ADDRESS_STRIDE);
      memory.setUint32(header + mmsghdr.nameLength, this.#addressWords * 4);
      memory.setPointer(header + mmsghdr.iovecs, IOVECS + i * IOVEC_BYTES);
      memory.setUint32(header + mmsghdr.iovecCount, 1);
      memory.setPointer(header + mmsghdr.control, control);
      memory.setUint32(control + cmsghdr.length, SEGMENT_CONTROL_BYTES);
      memory.setUint32(control + cmsghdr.level, linux.SOL_UDP);
      memory.setUint32(control + cmsghdr.type, linux.UDP_SEGMENT);
    }
    const words = (begin: number, end: number) => new Uint32Array(memory.buffer, begin, (end - begin) / 4);
    this.#headers = words(HEADERS, IOVECS);
    this.#iovecs = words(IOVECS, CONTROLS);
    this.#iovecBases = new BigUint64Array(memory.buffer, IOVECS, DATAGRAMS * IOVEC_BYTES / 8);
    this.#controls = words(CONTROLS, ADDRESSES);
    this.#addresses = words(ADDRESSES, CONTENTS);
    this.#contents = new DataView(memory.buffer, CONTENTS, CONTENTS_BYTES);
    this.#headerPointers = Array.from({ length: DATAGRAMS }, (_, i) => memory.pointerTo(HEADERS + i * MMSGHDR_BYTES));
    this.#contentsPointer = memory.pointerTo(CONTENTS);
    this.#contentsAddress = Deno.UnsafePointer.value(this.#contentsPointer);
    this.#addressPointer = isConnected ? null : memory.pointerTo(ADDRESSES);
  }

  /** From now on, what is added goes to this address, which must stay as it is until all of that is sent. */
  sendTo(receiver: DataView): void {
    this.#receiver = receiver;
    if (!this.#isLastReceiver(receiver)) this.#segmentBytes = NONE;
  }

  /** Adds the datagram in the {@linkcode slot}. If there is no room for another one, all are sent. */
  add(length: number): void {
    if (length !== this.#segmentBytes || this.#segments === this.#maxSegments) this.#beginMessage(length);
    // As whole words: what comes next is written over what is too much, and there is room for it behind the last one.
    for (let i = 0; i < length; i += 4) this.#contents.setUint32(this.#end + i, this.slot.getUint32(i, true), true);
    this.#end += length;
    this.#segments++;
    if (++this.#datagrams === DATAGRAMS) this.#sendAll();
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

  #beginMessage(segmentBytes: number): void {
    this.#endMessage();
    const address = this.#messages++ * ADDRESS_WORDS;
    for (let i = 0; i < this.#addressWords; i++) {
      this.#addresses[address + i] = this.#receiver!.getUint32(4 * i, true);
    }
    this.#begin = this.#end;
    this.#segments = 0;
    this.#segmentBytes = segmentBytes === 0 ? NONE : segmentBytes; // many times nothing would be one time nothing
  }

  /** Describes the last message to the kernel, once it is complete. */
  #endMessage(): void {
    if (this.#messages > 0) this.#describe(this.#messages - 1, this.#begin, this.#end - this.#begin, this.#segments);
  }

  #describe(message: number, begin: number, bytes: number, segments: number): void {
    this.#iovecBases[message * IOVEC_BYTES / 8] = BigInt.asUintN(64, this.#contentsAddress + BigInt(begin >>> 0));
    this.#iovecs[message * IOVEC_WORDS + iovec.length / 4] = bytes;
    this.#headers[message * HEADER_WORDS + mmsghdr.controlLength / 4] = segments > 1 ? CONTROL_BYTES : 0;
    this.#controls[message * CONTROL_WORDS + cmsghdr.value / 4] = bytes / segments;
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
    this.#datagrams = this.#messages = this.#end = 0;
    this.#segmentBytes = NONE;
  }

  /** Where datagrams come one by one, sendto takes less time than the call for many. */
  #sendOne(): void {
    const { libc, fd } = this.#socket;
    const sent = libc.sendto(fd, this.#contentsPointer, this.#end, 0, this.#addressPointer, this.#addressWords * 4);
    if (sent < 0) this.#code = errno(libc);
  }

  #sendMany(): void {
    this.#endMessage();
    const { libc, fd } = this.#socket;
    let apart = NONE;
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
    const messages = this.#messages;
    this.#messages = first;
    for (let message = first; message < messages; message++) this.#messages += this.#segmentsOf(message);
    // From the last one on, since a datagram's own message is never before the one that it was in.
    for (let message = messages - 1, target = this.#messages; message >= first; message--) {
      const address = message * ADDRESS_WORDS;
      const begin = Number(this.#iovecBases[message * IOVEC_BYTES / 8] - this.#contentsAddress);
      const segments = this.#segmentsOf(message);
      const bytes = this.#iovecs[message * IOVEC_WORDS + iovec.length / 4] / segments;
      for (let segment = segments - 1; segment >= 0; segment--) {
        target--;
        this.#addresses.copyWithin(target * ADDRESS_WORDS, address, address + ADDRESS_WORDS);
        this.#describe(target, begin + segment * bytes, bytes, 1);
      }
    }
  }

  #segmentsOf(message: number): number {
    if (this.#headers[message * HEADER_WORDS + mmsghdr.controlLength / 4] === 0) return 1;
    const bytes = this.#controls[message * CONTROL_WORDS + cmsghdr.value / 4];
    return this.#iovecs[message * IOVEC_WORDS + iovec.length / 4] / bytes;
  }
}

/**
 * Whether the kernel may not send several datagrams as one on this way, though it knows how to: some versions of Linux do not through
 * a device that makes no checksums (EIO). EINVAL has other causes too, such as port 0.
 */
function mayBeBecauseOfSegments(code: number): boolean {
  return code === linux.EIO || code === linux.EINVAL;
}
