/**
 * Range requests that only holders of a key can make, and responses that only they can answer them with.
 *
 * `docs/protocol.md` has their layout, and says what the MACs cover. The MAC of a response covers the MAC of its
 * request. So a response answers one request and no other. Both cover a context, of a label and the cluster's name: a
 * request and a response can never pass for one another, and a datagram for one cluster is none for another.
 *
 * A server does not answer a datagram without a valid MAC. It answers a request that is not fresh (see
 * `replay_window.ts`) with the status STALE and the time that the request should have: a client whose clock is wrong
 * sends the request again, with its times moved by as much. The client can trust that time, since the response's MAC
 * proves that the server gave it after the request was sent.
 *
 * **Against whom**: an attacker on the network, who can read, hold back, change and replay all datagrams, and spoof
 * any sender's address, but does not have the key.
 *
 * - The attacker gets no ids, and the server spends none on the attacker.
 * - The attacker cannot make a client take an id that the server did not give to it: no changed response, no response
 *   to another request, none from before client or server was started again, none twice, and none of another cluster.
 * - A replayed request costs ids at most once more for every *other* worker of the cluster that has the key: each
 *   remembers only the requests that it has seen itself. Those ids are lost, not given out twice. A request that is
 *   older than half a minute, or from before the worker was started, costs nothing.
 * - A replayed request that has become stale gets one answer from each worker, and another one only after the attacker
 *   has had 65,536 other stale requests answered, of which a worker answers 1,000 a second (see `stale_answers.ts`).
 *
 * **What it does not do**:
 *
 * - Hide anything: ids, counts and times can be read on the way.
 * - Keep holders of the key apart: each can ask for any number of ids, and answer the others as if it were the server.
 *   A client cannot tell which server of its cluster answered. So two servers of one cluster with one node id, which is
 *   a mistake, are not noticed here.
 * - Keep the network from losing datagrams, or the server from being flooded: checking a wrong MAC takes about a
 *   microsecond, and twice that while there are two keys. An attacker who has captured tens of thousands of stale
 *   requests can keep a worker from telling the time to clients whose clocks are wrong by more than half a minute.
 *
 * @module
 */
import { hmac } from "@noble/hashes/hmac.js";
import { sha256 } from "@noble/hashes/sha2.js";
import { RANGE_BYTES, SIGNED, SIGNED_BYTES } from "../wire/protocol.ts";
import { checkCluster, DEFAULT_CLUSTER } from "./cluster.ts";
import { checkKey } from "./key.ts";

const MAC_BYTES = SIGNED_BYTES - RANGE_BYTES;
// The offsets of the fields that a signed request has in place of zeros.
const TIME = 16;
const NONCE = 24;

/** What a context begins with, so that no request passes for a response, nor the other way round. */
const REQUEST_LABEL = "global-id v1 signed request";
const RESPONSE_LABEL = "global-id v1 signed response";
const LABEL_BYTES = 32;

/**
 * Makes and checks the MACs of requests and responses, in place.
 *
 * The algorithm is HMAC-SHA-256, since every language has it, so anybody can write a client. The implementation is that
 * of `@noble/hashes`: WebCrypto's is asynchronous, and Node's takes several times as long for messages this short.
 */
export class Mac {
  /** HMAC after the key and the context of requests or responses. */
  readonly #requestState;
  readonly #responseState;
  /** A copy of such a state, which computes each MAC. */
  readonly #work;

  /**
   * The message to authenticate, and the digest. They have memory of their own, since a view of a datagram would be an
   * allocation.
   */
  readonly #message = new Uint8Array(SIGNED_BYTES);
  readonly #messageView = new DataView(this.#message.buffer);
  readonly #requestMessage = this.#message.subarray(0, RANGE_BYTES);
  readonly #digest = new Uint8Array(sha256.outputLen);
  readonly #digestView = new DataView(this.#digest.buffer);

  /**
   * Prepares for a key and a cluster.
   *
   * @param key The key that servers and clients share: see {@linkcode checkKey}.
   * @param cluster The name of the cluster that they belong to: see {@linkcode checkCluster}.
   * @throws {TypeError | RangeError} If the key is too short or not random, or the cluster's name is wrong.
   */
  constructor(key: Uint8Array, cluster: string = DEFAULT_CLUSTER) {
    checkKey(key);
    checkCluster(cluster);
    this.#requestState = stateAfter(key, contextOf(REQUEST_LABEL, cluster));
    this.#responseState = stateAfter(key, contextOf(RESPONSE_LABEL, cluster));
    this.#work = this.#requestState.clone();
  }

  /**
   * Turns a range request into a signed request.
   *
   * @param datagram At least 48 bytes that begin with a range request.
   * @param timeMs When the client sends it, in ms since 1970.
   * @param nonceHigh The upper 32 bits of the nonce.
   * @param nonceLow The lower 32 bits of the nonce.
   * @returns The length of the signed request in bytes.
   */
  signRequest(datagram: DataView, timeMs: number, nonceHigh: number, nonceLow: number): number {
    datagram.setUint8(0, SIGNED);
    datagram.setUint32(TIME, timeMs / 2 ** 32);
    datagram.setUint32(TIME + 4, timeMs);
    datagram.setUint32(NONCE, nonceHigh);
    datagram.setUint32(NONCE + 4, nonceLow);
    this.#digestRequest(datagram);
    return this.#writeMac(datagram);
  }

  /**
   * Checks a signed request. A `ReplayWindow` checks whether it is fresh.
   *
   * @param datagram A view that begins with the datagram.
   * @param length The datagram's length in bytes.
   * @returns Whether it is a signed request, made with this key for this cluster. Its reserved bytes are not checked.
   */
  verifyRequest(datagram: DataView, length: number): boolean {
    if (length !== SIGNED_BYTES || datagram.getUint8(0) !== SIGNED) return false;
    this.#digestRequest(datagram);
    return this.#endsWithDigest(datagram);
  }

  /**
   * Signs a response that was written over a signed request.
   *
   * @param datagram The response. Behind its 32 bytes, it still has the MAC of the request.
   * @returns The length of the signed response in bytes.
   */
  signResponse(datagram: DataView): number {
    datagram.setUint8(0, SIGNED);
    this.#digestResponse(datagram, datagram);
    return this.#writeMac(datagram);
  }

  /**
   * Checks a signed response.
   *
   * @param datagram A view that begins with the datagram.
   * @param length The datagram's length in bytes.
   * @param request The signed request, as the client sent it.
   * @returns Whether it is the response to this request, made with this key for this cluster.
   */
  verifyResponse(datagram: DataView, length: number, request: DataView): boolean {
    if (length !== SIGNED_BYTES || datagram.getUint8(0) !== SIGNED) return false;
    this.#digestResponse(datagram, request);
    return this.#endsWithDigest(datagram);
  }

  #digestRequest(request: DataView): void {
    copy(request, this.#messageView, 0, RANGE_BYTES);
    this.#digestAfter(this.#requestState, this.#requestMessage);
  }

  #digestResponse(response: DataView, request: DataView): void {
    copy(response, this.#messageView, 0, RANGE_BYTES);
    copy(request, this.#messageView, RANGE_BYTES, SIGNED_BYTES);
    this.#digestAfter(this.#responseState, this.#message);
  }

  #digestAfter(state: ReturnType<typeof stateAfter>, message: Uint8Array): void {
    state._cloneInto(this.#work);
    this.#work.update(message);
    this.#work.digestInto(this.#digest);
  }

  #writeMac(datagram: DataView): number {
    for (let i = 0; i < MAC_BYTES; i += 4) datagram.setUint32(RANGE_BYTES + i, this.#digestView.getUint32(i));
    return SIGNED_BYTES;
  }

  /** Whether a datagram ends with the computed MAC. The time does not depend on the datagram. */
  #endsWithDigest(datagram: DataView): boolean {
    let difference = 0;
    for (let i = 0; i < MAC_BYTES; i += 4) {
      difference |= datagram.getUint32(RANGE_BYTES + i) ^ this.#digestView.getUint32(i);
    }
    return difference === 0;
  }
}

/**
 * Returns the context of requests or responses. It is one block of SHA-256, so the state after it is computed once, and
 * costs the messages nothing. Both parts have a fixed length, so no two contexts are the same.
 */
function contextOf(label: string, cluster: string): Uint8Array {
  const encoder = new TextEncoder();
  const context = new Uint8Array(sha256.blockLen);
  context.set(encoder.encode(label));
  context.set(sha256(encoder.encode(cluster)), LABEL_BYTES);
  return context;
}

/** Returns HMAC's state after the key and a context. */
function stateAfter(key: Uint8Array, context: Uint8Array) {
  return hmac.create(sha256, key).update(context);
}

/** Reads the time of a signed request, in ms since 1970. Times from 2^53 on are not exact. */
export function timeOf(request: DataView): number {
  return request.getUint32(TIME) * 2 ** 32 + request.getUint32(TIME + 4);
}

/** Copies the bytes from `begin` to before `end`, multiples of 4, to the same offsets in another view. */
function copy(from: DataView, to: DataView, begin: number, end: number): void {
  for (let offset = begin; offset < end; offset += 4) to.setUint32(offset, from.getUint32(offset));
}
