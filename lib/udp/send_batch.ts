import { linux } from "../libc/libc.ts";
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

/** Room for so many datagrams, and so for as many messages. */
const MAX_DATAGRAMS = 256;

/** How many datagrams a message may have: 64 in the first versions of Linux that know segments, 128 now. */
const MAX_SEGMENTS = 64;

/** The length of a `struct cmsghdr` with the 2 bytes of UDP_SEGMENT, without padding. */
const SEGMENT_CONTROL_LENGTH = 18;

// The offsets of the parts of the memory.
const HEADERS = 0;
const IOVECS = HEADERS + MAX_DATAGRAMS * MMSGHDR_BYTES;
const CONTROLS = IOVECS + MAX_DATAGRAMS * IOVEC_BYTES;
const ADDRESSES = CONTROLS + MAX_DATAGRAMS * CONTROL_STRIDE;
const CONTENTS = ADDRESSES + MAX_DATAGRAMS * ADDRESS_STRIDE;
const CONTENTS_BYTES = MAX_DATAGRAMS * SLOT_BYTES;
const MEMORY_BYTES = CONTENTS + CONTENTS_BYTES;

const HEADER_WORDS = MMSGHDR_BYTES / 4;
const IOVEC_WORDS = IOVEC_BYTES / 4;
const CONTROL_WORDS = CONTROL_STRIDE / 4;
const ADDRESS_WORDS = ADDRESS_STRIDE / 4;

/** The receiver of a batch that was told none: an address of zeros, which the kernel refuses. */
const NO_RECEIVER = new DataView(new ArrayBuffer(ADDRESS_STRIDE));

/** The address to send from of a batch that was told none: the kernel chooses it. */
const ANY_ADDRESS = new Uint32Array(4);

/** How a {@linkcode SendBatch} differs from the defaults. */
export interface SendBatchOptions {
  /**
   * Whether the socket is connected, and so has one receiver only.
   *
   * @default {false}
   */
  isConnected?: boolean;
  /**
   * Whether to wait for room in the kernel's buffer, at most for the socket's timeout. Otherwise, datagrams without
   * room are lost.
   *
   * @default {true}
   */
  mayWait?: boolean;
}

/** No message; no length of a datagram. */
const NONE = -1;

/**
 * Collects datagrams and sends them, many at a time (sendmmsg).
 *
 * Consecutive datagrams to the same receiver and of the same length form one message. The kernel carries a message
 * through all its layers as one packet, and splits it only where the receiver or the network card needs datagrams
 * (UDP_SEGMENT): `ReceiveBatch` says how much that gains. The datagrams of a message lie side by side in memory, since
 * the kernel would spend a tenth of its time on collecting 64 parts.
 *
 * Sending allocates nothing.
 */
export class SendBatch {
  /** Where the caller writes a datagram before it adds it: {@linkcode SLOT_BYTES}. */
  readonly slot: DataView<ArrayBuffer> = new DataView(new ArrayBuffer(SLOT_BYTES));

  readonly #socket: RawSocket;
  readonly #memory = new KernelMemory(MEMORY_BYTES);
  readonly #contents: DataView;
  readonly #contentsAddress: bigint;
  // The structures as 32-bit words, and the iovecs as 64-bit words as well, for their addresses.
  readonly #headers: Uint32Array<ArrayBuffer>;
  readonly #iovecs: Uint32Array<ArrayBuffer>;
  readonly #iovecBases: BigUint64Array<ArrayBuffer>;
  readonly #controls: Uint32Array<ArrayBuffer>;
  readonly #addresses: Uint32Array<ArrayBuffer>;
  // The arguments of the system calls.
  readonly #headerPointers: Deno.PointerValue[];
  readonly #contentsPointer: Deno.PointerValue;
  readonly #addressPointer: Deno.PointerValue;
  /** The length of a receiver's address in 32-bit words; 0 for a connected socket. */
  readonly #addressWords: number;
  /** Where this machine's address is in the control data, and how long it is, in 32-bit words; 0 if nowhere. */
  readonly #infoAddress: number;
  readonly #infoAddressWords: number;
  /** Where the length of the segments is in the control data: behind this machine's address, if that is there. */
  readonly #segmentControl: number;
  #maxSegments: number;
  /** The flags of the system calls. */
  readonly #flags: number;

  /** The receiver of the next datagrams. */
  #receiver: DataView = NO_RECEIVER;
  /** This machine's address from which to send them, if the socket takes one. */
  #localAddress = ANY_ADDRESS;
  #datagrams = 0;
  #messages = 0;
  /**
   * The last message: where it begins and ends in the contents, how many datagrams it has, and how long each is, in
   * bytes.
   */
  #begin = 0;
  #end = 0;
  #segments = 0;
  #segmentBytes = NONE;
  /** How many datagrams the kernel has refused since the last flush. */
  #lost = 0;

  /**
   * Allocates the memory, and writes the fields that stay the same from call to call.
   *
   * @param socket The socket.
   * @param options How the batch differs from the defaults.
   */
  constructor(socket: RawSocket, { isConnected = false, mayWait = true }: SendBatchOptions = {}) {
    this.#socket = socket;
    this.#flags = mayWait ? 0 : linux.MSG_DONTWAIT;
    this.#addressWords = isConnected ? 0 : socket.addressLength / 4;
    // A segment length of 0 changes nothing, and shows whether the kernel knows segments.
    this.#maxSegments = socket.trySetUdpOption(linux.UDP_SEGMENT, 0) ? MAX_SEGMENTS : 1;
    const { packetInfo } = socket;
    this.#infoAddress = packetInfo.address / 4;
    this.#infoAddressWords = packetInfo.addressWords;
    this.#segmentControl = packetInfo.bytes;
    const memory = this.#memory;
    for (let i = 0; i < MAX_DATAGRAMS; i++) {
      const header = HEADERS + i * MMSGHDR_BYTES;
      const info = CONTROLS + i * CONTROL_STRIDE;
      const control = info + packetInfo.bytes;
      if (!isConnected) memory.setPointer(header + mmsghdr.name, ADDRESSES + i * ADDRESS_STRIDE);
      memory.setUint32(header + mmsghdr.nameLength, this.#addressWords * 4);
      memory.setPointer(header + mmsghdr.iovecs, IOVECS + i * IOVEC_BYTES);
      memory.setUint32(header + mmsghdr.iovecCount, 1);
      memory.setPointer(header + mmsghdr.control, info);
      memory.setUint32(info + cmsghdr.length, packetInfo.length);
      memory.setUint32(info + cmsghdr.level, packetInfo.level);
      memory.setUint32(info + cmsghdr.type, packetInfo.type);
      memory.setUint32(control + cmsghdr.length, SEGMENT_CONTROL_LENGTH);
      memory.setUint32(control + cmsghdr.level, linux.SOL_UDP);
      memory.setUint32(control + cmsghdr.type, linux.UDP_SEGMENT);
    }
    const words = (begin: number, end: number) => new Uint32Array(memory.buffer, begin, (end - begin) / 4);
    this.#headers = words(HEADERS, IOVECS);
    this.#iovecs = words(IOVECS, CONTROLS);
    this.#iovecBases = new BigUint64Array(memory.buffer, IOVECS, MAX_DATAGRAMS * IOVEC_BYTES / 8);
    this.#controls = words(CONTROLS, ADDRESSES);
    this.#addresses = words(ADDRESSES, CONTENTS);
    this.#contents = new DataView(memory.buffer, CONTENTS, CONTENTS_BYTES);
    this.#headerPointers = Array.from(
      { length: MAX_DATAGRAMS },
      (_, i) => memory.pointerTo(HEADERS + i * MMSGHDR_BYTES),
    );
    this.#contentsPointer = memory.pointerTo(CONTENTS);
    this.#contentsAddress = Deno.UnsafePointer.value(this.#contentsPointer);
    this.#addressPointer = isConnected ? null : memory.pointerTo(ADDRESSES);
  }

  /**
   * Sets the receiver of the next datagrams. The caller must not change the address until they are sent.
   *
   * @param receiver The address of the receiver.
   * @param localAddress This machine's address to send them from, of a socket that takes one: see
   * `ReceiveBatch.localAddress`. The caller must not change it before the next `sendTo`. Left out: the kernel chooses.
   */
  sendTo(receiver: DataView, localAddress: Uint32Array<ArrayBuffer> = ANY_ADDRESS): void {
    this.#receiver = receiver;
    this.#localAddress = localAddress;
    if (!this.#isLastReceiver(receiver) || !this.#isLastLocalAddress(localAddress)) this.#segmentBytes = NONE;
  }

  /** Adds the datagram in the {@linkcode slot}. If that fills the batch, sends all datagrams. */
  add(length: number): void {
    if (length !== this.#segmentBytes || this.#segments === this.#maxSegments) this.#beginMessage(length);
    // Copies whole words. The next datagram overwrites the excess bytes; behind the last datagram, there is room for
    // them.
    for (let i = 0; i < length; i += 4) {
      this.#contents.setUint32(this.#end + i, this.slot.getUint32(i, LITTLE_ENDIAN), LITTLE_ENDIAN);
    }
    this.#end += length;
    this.#segments++;
    if (++this.#datagrams === MAX_DATAGRAMS) this.#sendAll();
  }

  /**
   * Sends the datagrams that were added. A datagram that the kernel refuses is lost.
   *
   * @returns How many datagrams were lost since the last flush.
   */
  flush(): number {
    if (this.#datagrams > 0) this.#sendAll();
    const lost = this.#lost;
    this.#lost = 0;
    return lost;
  }

  #beginMessage(segmentBytes: number): void {
    this.#endMessage();
    const info = this.#messages * CONTROL_WORDS + this.#infoAddress;
    for (let i = 0; i < this.#infoAddressWords; i++) this.#controls[info + i] = this.#localAddress[i];
    const address = this.#messages++ * ADDRESS_WORDS;
    const receiver = this.#receiver;
    for (let i = 0; i < this.#addressWords; i++) {
      this.#addresses[address + i] = receiver.getUint32(4 * i, LITTLE_ENDIAN);
    }
    this.#begin = this.#end;
    this.#segments = 0;
    // No other datagram joins an empty one: the kernel would send a message of empty datagrams as one datagram.
    this.#segmentBytes = segmentBytes === 0 ? NONE : segmentBytes;
  }

  /** Describes the last message to the kernel. The message is complete. */
  #endMessage(): void {
    if (this.#messages > 0) this.#describe(this.#messages - 1, this.#begin, this.#end - this.#begin, this.#segments);
  }

  #describe(message: number, begin: number, bytes: number, segments: number): void {
    this.#iovecBases[message * IOVEC_BYTES / 8] = BigInt.asUintN(64, this.#contentsAddress + BigInt(begin >>> 0));
    this.#iovecs[message * IOVEC_WORDS + iovec.length / 4] = bytes;
    const controlBytes = this.#segmentControl + (segments > 1 ? SEGMENT_CONTROL_BYTES : 0);
    this.#headers[message * HEADER_WORDS + mmsghdr.controlLength / 4] = controlBytes;
    if (segments === 1) return;
    this.#controls[message * CONTROL_WORDS + (this.#segmentControl + cmsghdr.value) / 4] = bytes / segments;
  }

  #isLastReceiver(receiver: DataView): boolean {
    const address = (this.#messages - 1) * ADDRESS_WORDS;
    if (address < 0) return false;
    for (let i = 0; i < this.#addressWords; i++) {
      if (this.#addresses[address + i] !== receiver.getUint32(4 * i, LITTLE_ENDIAN)) return false;
    }
    return true;
  }

  #isLastLocalAddress(localAddress: Uint32Array<ArrayBuffer>): boolean {
    const info = (this.#messages - 1) * CONTROL_WORDS + this.#infoAddress;
    for (let i = 0; i < this.#infoAddressWords; i++) {
      if (this.#controls[info + i] !== localAddress[i]) return false;
    }
    return true;
  }

  #sendAll(): void {
    if (this.#datagrams === 1) this.#sendOne();
    else this.#sendMany();
    this.#datagrams = this.#messages = this.#end = 0;
    this.#segmentBytes = NONE;
  }

  /** Sends a single datagram: sendto takes less time for it than sendmmsg. */
  #sendOne(): void {
    const sent = this.#segmentControl > 0 ? this.#sendFromLocalAddress() : this.#sendFromAnyAddress();
    if (sent < 0) this.#lost++;
  }

  #sendFromAnyAddress(): number {
    const { libc, fd } = this.#socket;
    return libc.sendto(fd, this.#contentsPointer, this.#end, this.#flags, this.#addressPointer, this.#addressWords * 4);
  }

  #sendFromLocalAddress(): number {
    this.#endMessage();
    const { libc, fd } = this.#socket;
    return libc.sendmsg(fd, this.#headerPointers[0], this.#flags);
  }

  #sendMany(): void {
    this.#endMessage();
    for (let message = 0; message < this.#messages;) {
      const sent = this.#sendMessages(message, this.#messages - message);
      message += sent > 0 ? sent : this.#sendRefused(message);
    }
  }

  /** Sends so many messages. Returns how many the kernel took. */
  #sendMessages(first: number, count: number): number {
    const { libc, fd } = this.#socket;
    return libc.sendmmsg(fd, this.#headerPointers[first], count, this.#flags);
  }

  /**
   * Handles a message that the kernel has refused. Some versions of Linux send no segments through a device that
   * computes no checksums. Only a try tells: the datagrams go out one by one if the first one does.
   *
   * @returns How many messages are done with.
   */
  #sendRefused(message: number): number {
    const segments = this.#segmentsOf(message);
    // Where there is no room for datagrams, each of them would have to wait.
    const canRetry = segments > 1 && this.#socket.isSendable();
    if (canRetry && this.#sendMessages(message, 1) > 0) return 1; // it was for the moment
    if (canRetry && this.#sendFirstOf(message, segments)) {
      this.#maxSegments = 1;
      this.#splitFrom(message);
      return 1; // the first datagram, which has been sent
    }
    this.#lost += segments;
    return 1;
  }

  /** Sends the first datagram of a message alone. Returns whether the kernel took it. */
  #sendFirstOf(message: number, segments: number): boolean {
    const begin = Number(this.#iovecBases[message * IOVEC_BYTES / 8] - this.#contentsAddress);
    const bytes = this.#iovecs[message * IOVEC_WORDS + iovec.length / 4];
    this.#describe(message, begin, bytes / segments, 1);
    const isSent = this.#sendMessages(message, 1) > 0;
    this.#describe(message, begin, bytes, segments);
    return isSent;
  }

  /** Splits a message and all later ones into their datagrams. */
  #splitFrom(first: number): void {
    const messages = this.#messages;
    this.#messages = first;
    for (let message = first; message < messages; message++) this.#messages += this.#segmentsOf(message);
    // Backwards, since a datagram's new message never comes before its old one.
    for (let message = messages - 1, target = this.#messages; message >= first; message--) {
      const address = message * ADDRESS_WORDS;
      const begin = Number(this.#iovecBases[message * IOVEC_BYTES / 8] - this.#contentsAddress);
      const segments = this.#segmentsOf(message);
      const bytes = this.#iovecs[message * IOVEC_WORDS + iovec.length / 4] / segments;
      const info = message * CONTROL_WORDS + this.#infoAddress;
      for (let segment = segments - 1; segment >= 0; segment--) {
        target--;
        this.#addresses.copyWithin(target * ADDRESS_WORDS, address, address + ADDRESS_WORDS);
        this.#controls.copyWithin(target * CONTROL_WORDS + this.#infoAddress, info, info + this.#infoAddressWords);
        this.#describe(target, begin + segment * bytes, bytes, 1);
      }
    }
  }

  #segmentsOf(message: number): number {
    if (this.#headers[message * HEADER_WORDS + mmsghdr.controlLength / 4] === this.#segmentControl) return 1;
    const bytes = this.#controls[message * CONTROL_WORDS + (this.#segmentControl + cmsghdr.value) / 4];
    return this.#iovecs[message * IOVEC_WORDS + iovec.length / 4] / bytes;
  }
}
