import { SLOT_BYTES } from "../../lib/udp/udp_socket.ts";

/** The longest datagram of the fuzzer. UDP over IPv4 carries up to 65,507 bytes. */
export const MAX_SENT_BYTES = 65_000;

const RANGE_BYTES = 32;

/** Counts around every boundary: none, the default layout's tick, an int32, a uint32. */
const BOUNDARY_COUNTS = [0, 1, 2, 2 ** 17 - 1, 2 ** 17, 2 ** 17 + 1, 2 ** 31 - 1, 2 ** 31, 2 ** 31 + 1, 2 ** 32 - 1];

/** The offsets of the reserved bytes of a range request. */
const RESERVED = [1, 2, 3, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31];

/**
 * Writes datagrams such as a stranger may send to a server or a client: requests and responses, also cut short, too
 * long or with wrong bits, and noise. The same seed gives the same datagrams. A fuzzer allocates nothing after its
 * construction, so a test can measure the memory of the code under test.
 */
export class Fuzzer {
  /** The length of the last datagram on the wire. Only the length counts of the bytes beyond the slot. */
  sentLength = 0;

  /** The state of the generator, in an array, where V8 makes no object of a number above 2^31. */
  readonly #state: Uint32Array;
  readonly #aim = new Uint32Array(2);
  #isAiming = false;

  /** A 32-bit number. */
  readonly seed: number;

  /** @param seed A 32-bit number. */
  constructor(seed: number) {
    this.seed = seed;
    this.#state = Uint32Array.of(seed);
  }

  /** 32 random bits. (Mulberry32 by Tommy Ettinger: all of its state is a counter.) */
  word(): number {
    const state = this.#state[0] + 0x6d2b79f5 | 0;
    this.#state[0] = state;
    let bits = Math.imul(state ^ state >>> 15, state | 1);
    bits ^= bits + Math.imul(bits ^ bits >>> 7, bits | 61);
    return (bits ^ bits >>> 14) >>> 0;
  }

  /** A random integer from 0 to before `limit`, which is at most 2^32. */
  below(limit: number): number {
    return Math.floor(this.word() / 2 ** 32 * limit);
  }

  /** Gives half of the next tags this value, such as that of a request under way. */
  aimAt(tagHigh: number, tagLow: number): void {
    this.#aim[0] = tagHigh;
    this.#aim[1] = tagLow;
    this.#isAiming = true;
  }

  /**
   * Writes a datagram. The bytes behind it are those of the datagrams before, or those that were cut off, as in the
   * slot of a socket.
   *
   * @param slot The target, 64 bytes.
   * @returns The datagram's length, at most the slot's.
   */
  next(slot: DataView): number {
    this.sentLength = this.#write(slot);
    return Math.min(this.sentLength, SLOT_BYTES);
  }

  #write(slot: DataView): number {
    switch (this.below(16)) {
      case 0:
      case 1:
        return this.#basicRequest(slot);
      case 2:
      case 3:
      case 4:
        return this.#rangeRequest(slot);
      case 5:
        return this.below(this.#rangeRequest(slot)); // cut short
      case 6:
        return this.#drawOut(this.below(2) === 0 ? this.#rangeRequest(slot) : this.#basicRequest(slot));
      case 7:
        return this.#flipBits(slot, this.#rangeRequest(slot));
      case 8:
        return this.#flipBits(slot, this.#basicRequest(slot));
      case 9:
        return this.#breakReserved(slot, this.#rangeRequest(slot));
      case 10:
      case 11:
        return this.#response(slot);
      case 12:
        return this.#flipBits(slot, this.#response(slot));
      case 13:
        return this.below(4) === 0 ? this.#drawOut(this.#response(slot)) : this.below(this.#response(slot));
      case 14:
        return this.#noise(slot, this.below(SLOT_BYTES + 1));
      default:
        return this.#familiarNoise(slot);
    }
  }

  #basicRequest(slot: DataView): number {
    slot.setUint8(0, 0);
    return 1;
  }

  #rangeRequest(slot: DataView): number {
    slot.setUint32(0, 0x02000000);
    slot.setUint32(4, this.#count());
    this.#tag(slot);
    for (let offset = 16; offset < RANGE_BYTES; offset += 4) slot.setUint32(offset, 0);
    return RANGE_BYTES;
  }

  #count(): number {
    switch (this.below(4)) {
      case 0:
        return BOUNDARY_COUNTS[this.below(BOUNDARY_COUNTS.length)];
      case 1:
        return this.word();
      default:
        return 1 + this.below(100);
    }
  }

  #tag(slot: DataView): void {
    const isAimed = this.#isAiming && this.below(2) === 0;
    slot.setUint32(8, isAimed ? this.#aim[0] : this.word());
    slot.setUint32(12, isAimed ? this.#aim[1] : this.word());
  }

  /** A server's own answer; one that comes back to a server was sent on by somebody, or with a forged sender. */
  #response(slot: DataView): number {
    switch (this.below(8)) {
      case 0: // a basic error
        slot.setUint8(0, 1);
        return 1;
      case 1: // a basic success
        this.#noise(slot, 9);
        slot.setUint8(0, 0);
        return 9;
      case 2:
      case 3: // a grant
        this.#rangeRequest(slot);
        for (let offset = 16; offset < 24; offset += 4) slot.setUint32(offset, this.word());
        slot.setUint32(28, 1 + this.below(2 ** 20));
        return RANGE_BYTES;
      default: // a refusal, some of them with a status that there is not
        this.#rangeRequest(slot);
        slot.setUint8(1, this.below(4) === 0 ? this.below(16) : 1 + this.below(5));
        slot.setUint32(4, 0);
        slot.setUint32(this.below(8) === 0 ? 16 : 20, this.below(2 ** 20));
        return RANGE_BYTES;
    }
  }

  /** A first byte that means something, any length, and then noise or zeros. */
  #familiarNoise(slot: DataView): number {
    const length = this.below(SLOT_BYTES + 1);
    this.#noise(slot, length);
    slot.setUint8(0, this.below(4));
    if (this.below(2) === 0) { for (let offset = 1; offset < length; offset++) slot.setUint8(offset, 0); }
    return this.below(2) === 0 ? length : this.below(2) === 0 ? RANGE_BYTES : 1;
  }

  #noise(slot: DataView, length: number): number {
    for (let offset = 0; offset < length; offset++) slot.setUint8(offset, this.word());
    return length;
  }

  /**
   * Half of them by a few bytes, the others up to the longest datagram, but most of these less than a packet of
   * Ethernet.
   */
  #drawOut(length: number): number {
    const most = this.below(2) === 0 ? SLOT_BYTES : this.below(8) === 0 ? MAX_SENT_BYTES : 1472;
    return length + 1 + this.below(most - length);
  }

  #flipBits(slot: DataView, length: number): number {
    for (let flips = 1 + this.below(4); flips > 0; flips--) {
      const bit = this.below(length * 8);
      slot.setUint8(bit >> 3, slot.getUint8(bit >> 3) ^ 1 << (bit & 7));
    }
    return length;
  }

  #breakReserved(slot: DataView, length: number): number {
    slot.setUint8(RESERVED[this.below(RESERVED.length)], 1 + this.below(255));
    return length;
  }
}

/**
 * What a server makes of a datagram:
 *
 * - `basic`: a basic request, to be answered with an id or the basic error;
 * - `range`: a range request, to be answered with ids or with the generator's status;
 * - `bad`: a range request for no ids, to be answered with the status of a bad one;
 * - `other`: anything else, which is not to be answered.
 */
export type Verdict = "basic" | "range" | "bad" | "other";

/**
 * Judges how a server must answer a datagram. It is written from the protocol's text, byte by byte, and shares no code
 * with the program.
 *
 * @param datagram Bytes that begin with the datagram.
 * @param length The datagram's length.
 */
export function judge(datagram: Uint8Array, length: number): Verdict {
  if (length === 1 && datagram[0] === 0x00) return "basic";
  if (length !== 32 || datagram[0] !== 0x02 || !areZero(datagram, 1, 4) || !areZero(datagram, 16, 32)) return "other";
  return areZero(datagram, 4, 8) ? "bad" : "range";
}

/** Whether the bytes from `begin` to before `end` are all zero. */
export function areZero(bytes: Uint8Array, begin: number, end: number): boolean {
  for (let offset = begin; offset < end; offset++) if (bytes[offset] !== 0) return false;
  return true;
}

/** Reads a big-endian number of 32 bits. */
export function wordAt(bytes: Uint8Array, offset: number): number {
  return bytes[offset] * 2 ** 24 + bytes[offset + 1] * 2 ** 16 + bytes[offset + 2] * 2 ** 8 + bytes[offset + 3];
}
