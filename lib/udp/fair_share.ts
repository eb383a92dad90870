import { IPV4_ADDRESS, IPV6_ADDRESS, MAX_ADDRESS_BYTES, PORT } from "./socket_address.ts";

/**
 * How many datagrams of an overloaded receive of 64 messages are answered: one for each message, as if no message had
 * more. They take about as long as the receive itself, so a worker gets through its queue at half of the rate at which
 * it could drop everything.
 */
export const SHARED_DATAGRAMS = 64;

/** The messages of a receive: see `ReceiveBatch`. */
export interface ReceivedMessages {
  /** The sender of each message: a `struct sockaddr_in` or `struct sockaddr_in6`. */
  readonly senders: readonly DataView[];
  /** How many datagrams a message has. */
  datagramsIn(message: number): number;
}

/**
 * Divides an overloaded receive among its senders: each distinct sender (address and port) has an equal share of a
 * budget of datagrams. What a sender has sent beyond its share is dropped unread, which costs next to nothing. So a
 * sender that floods the worker, with 64 or 128 datagrams in each message, crowds out nobody but itself.
 *
 * Two senders may count as one by chance, 1 in 2^32.
 */
export class FairShare {
  /** Unknown to senders, so that nobody can choose a port to share a share with somebody. */
  readonly #seed = crypto.getRandomValues(new Uint32Array(1))[0];
  readonly #addressOffset: number;
  readonly #addressWords: number;
  /** The distinct senders of the receive: a hash of each, and how many datagrams of its share are left. */
  readonly #hashes: Uint32Array;
  readonly #left: Uint32Array;
  /** How many datagrams of each message are to be read. */
  readonly #quotas: Uint32Array;
  #senders = 0;

  /**
   * Allocates the memory.
   *
   * @param maxMessages How many messages a receive has at most.
   * @param addressLength The length of the senders' addresses in bytes.
   */
  constructor(maxMessages: number, addressLength: number) {
    const isIPv6 = addressLength === MAX_ADDRESS_BYTES;
    this.#addressOffset = isIPv6 ? IPV6_ADDRESS : IPV4_ADDRESS;
    this.#addressWords = isIPv6 ? 4 : 1;
    this.#hashes = new Uint32Array(maxMessages);
    this.#left = new Uint32Array(maxMessages);
    this.#quotas = new Uint32Array(maxMessages);
  }

  /**
   * Divides a receive. Allocates nothing.
   *
   * @param received The messages.
   * @param count How many there are.
   * @returns How many datagrams are to be read.
   */
  divide(received: ReceivedMessages, count: number): number {
    this.#senders = 0;
    for (let message = 0; message < count; message++) {
      this.#quotas[message] = this.#numberOf(received.senders[message]);
    }
    this.#left.fill(Math.max(Math.floor(SHARED_DATAGRAMS / this.#senders), 1), 0, this.#senders);
    let total = 0;
    for (let message = 0; message < count; message++) {
      const sender = this.#quotas[message];
      const quota = Math.min(received.datagramsIn(message), this.#left[sender]);
      this.#left[sender] -= quota;
      this.#quotas[message] = quota;
      total += quota;
    }
    return total;
  }

  /** How many datagrams of a message are to be read. */
  quotaOf(message: number): number {
    return this.#quotas[message];
  }

  /** The number of a sender among the distinct ones; the next one, if it is new. */
  #numberOf(sender: DataView): number {
    const hash = this.#hash(sender);
    let number = 0;
    while (number < this.#senders && this.#hashes[number] !== hash) number++;
    if (number === this.#senders) this.#hashes[this.#senders++] = hash;
    return number;
  }

  /** Hashes port and address: the steps and the finalizer of MurmurHash3. */
  #hash(sender: DataView): number {
    let hash = mix(this.#seed, sender.getUint16(PORT));
    for (let i = 0; i < this.#addressWords; i++) hash = mix(hash, sender.getUint32(this.#addressOffset + 4 * i));
    hash = Math.imul(hash ^ hash >>> 16, 0x85ebca6b);
    hash = Math.imul(hash ^ hash >>> 13, 0xc2b2ae35);
    return (hash ^ hash >>> 16) >>> 0;
  }
}

function mix(hash: number, word: number): number {
  word = Math.imul(word, 0xcc9e2d51);
  word = Math.imul(word << 15 | word >>> 17, 0x1b873593);
  hash ^= word;
  return Math.imul(hash << 13 | hash >>> 19, 5) + 0xe6546b64 | 0;
}
