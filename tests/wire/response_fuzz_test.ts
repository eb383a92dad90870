import { assert, assertEquals, assertGreater } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { IdClient } from "../../client.ts";
import { readBasicResponse, readRangeResponse } from "../../lib/wire/response.ts";
import { grant, ScriptedServer, type SeenRequest } from "../client/scripted_server.ts";
import { hex } from "./bytes.ts";
import { SEED } from "../settings.ts";
import { areZero, Fuzzer, wordAt } from "./fuzz.ts";

const DATAGRAMS = 2_000_000;

/** Whether a datagram is a success of the basic protocol, by the protocol's text. */
function isBasicSuccess(datagram: Uint8Array, length: number): boolean {
  return length === 9 && datagram[0] === 0x00;
}

/**
 * Whether a datagram is a response to a range request, by the protocol's text: all of its ids must be ids, and none the
 * same.
 */
function isRangeResponse(datagram: Uint8Array, length: number): boolean {
  if (length !== 32 || datagram[0] !== 0x02 || !areZero(datagram, 2, 4)) return false;
  const status = datagram[1];
  const granted = wordAt(datagram, 4);
  if (status !== 0) return status <= 6 && granted === 0 && areZero(datagram, 24, 32);
  const last = longAt(datagram, 16) + longAt(datagram, 24) * BigInt(granted - 1);
  return granted === 1 || granted > 1 && !areZero(datagram, 24, 32) && last < 2n ** 64n;
}

/** A big-endian number of 64 bits. */
function longAt(bytes: Uint8Array, offset: number): bigint {
  return BigInt(wordAt(bytes, offset)) * 2n ** 32n + BigInt(wordAt(bytes, offset + 4));
}

describe("readBasicResponse and readRangeResponse, against millions of datagrams", () => {
  it(`read exactly the datagrams that the protocol defines as responses (seed ${SEED})`, () => {
    const fuzzer = new Fuzzer(SEED);
    const bytes = new Uint8Array(64);
    const view = new DataView(bytes.buffer);
    const before = new Uint8Array(64);
    const seen = { successes: 0, grants: 0, refusals: 0, others: 0 };
    for (let i = 0; i < DATAGRAMS; i++) {
      const length = fuzzer.next(view);
      before.set(bytes);
      try {
        const id = readBasicResponse(view, length);
        if (isBasicSuccess(bytes, length)) {
          seen.successes++;
          if (id !== longAt(bytes, 1)) throw new Error(`read as the id ${id}`);
        } else if (id !== undefined) {
          throw new Error(`no basic success, and read as the id ${id}`);
        }

        const response = readRangeResponse(view, length);
        const isResponse = isRangeResponse(bytes, length);
        if (isResponse !== (response !== undefined)) {
          throw new Error(isResponse ? "a range response, and not read as one" : "no range response, and read as one");
        }
        if (response === undefined) {
          seen.others++;
        } else {
          const [status, granted, first] = [bytes[1], wordAt(bytes, 4), longAt(bytes, 16)];
          const isRight = response.status === status && response.granted === granted &&
            response.tagHigh === wordAt(bytes, 8) && response.tagLow === wordAt(bytes, 12) &&
            response.first === (status === 0 ? first : 0n) &&
            response.retryAfterMs === (status === 0 ? 0 : Number(first)) &&
            (status !== 0 || response.step === longAt(bytes, 24));
          if (!isRight) throw new Error(`read wrong: ${Object.entries(response).join(" ")}`);
          if (status === 0) seen.grants++;
          else seen.refusals++;
        }
        // For each datagram; assertEquals would take minutes.
        for (let at = 0; at < 64; at++) if (bytes[at] !== before[at]) throw new Error(`byte ${at} is written`);
      } catch (error) {
        throw new Error(
          `seed ${SEED}, datagram ${i} of ${fuzzer.sentLength} bytes, ${hex(before.subarray(0, length))}: ` +
            (error as Error).message,
          { cause: error },
        );
      }
    }
    for (const [what, count] of Object.entries(seen)) {
      assertGreater(count, DATAGRAMS / 500, `${what}: too few for this to have tried anything`);
    }
  });
});

/** How many datagrams come before the right one, and after it. */
const AROUND = 20;

/** The longest datagram. Longer ones would fill the client's socket, where a datagram takes twice its length. */
const MAX_BYTES = 2000;

/** Returns the first id for a request: its number, from 0, is the same for each retransmission. */
const firstIdFor = (number: number) => BigInt(number) * 2n ** 32n;

/**
 * A server that sends many other datagrams beside each response: datagrams of all kinds, half of them with the
 * request's own tag, and the responses to earlier requests. After the response, it also sends responses that were
 * tampered with. It leaves some requests without a response.
 */
class HostileServer extends ScriptedServer {
  /** How many datagrams the server has sent besides its responses. */
  hostile = 0;

  readonly #fuzzer: Fuzzer;
  readonly #slot = new Uint8Array(64);
  readonly #earlier: Uint8Array[] = [];
  /** The numbers of the requests, by the upper halves of their tags. */
  readonly #numbers = new Map<number, number>();

  private readonly isAnswering: (request: SeenRequest) => boolean;

  constructor(seed: number, isAnswering: (request: SeenRequest) => boolean = () => true) {
    super((request) => this.#answer(request));
    this.isAnswering = isAnswering;
    this.#fuzzer = new Fuzzer(seed);
  }

  #answer(request: SeenRequest): Uint8Array[] {
    this.#fuzzer.aimAt(request.tagHigh, request.tagLow);
    const before = [...this.#earlier.slice(-3), ...Array.from({ length: AROUND }, () => this.#next())]
      .filter((datagram) => isNoAnswer(datagram, request));
    this.hostile += before.length;
    if (!this.isAnswering(request)) return before;

    const right = grant(request, firstIdFor(this.#numberOf(request)));
    this.#earlier.push(right);
    const after = Array.from({ length: AROUND }, (_, i) => i % 4 === 0 ? this.#tamper(right) : this.#next());
    this.hostile += after.length;
    return [...before, right, ...after];
  }

  #numberOf({ tagHigh }: SeenRequest): number {
    const number = this.#numbers.get(tagHigh) ?? this.#numbers.size;
    this.#numbers.set(tagHigh, number);
    return number;
  }

  #next(): Uint8Array {
    this.#fuzzer.next(new DataView(this.#slot.buffer));
    const datagram = new Uint8Array(Math.min(this.#fuzzer.sentLength, MAX_BYTES));
    datagram.set(this.#slot.subarray(0, datagram.length));
    return datagram;
  }

  #tamper(right: Uint8Array): Uint8Array {
    const datagram = right.slice();
    datagram[this.#fuzzer.below(datagram.length)] ^= 1 << this.#fuzzer.below(8);
    return datagram;
  }
}

/** Whether a datagram is no response to a request. Its tag tells, all of whose bits are random. */
function isNoAnswer(datagram: Uint8Array, { tagHigh, tagLow }: SeenRequest): boolean {
  return !isRangeResponse(datagram, datagram.length) || wordAt(datagram, 8) !== tagHigh ||
    wordAt(datagram, 12) !== tagLow;
}

/** The ids of so many requests, from the first on, each for `count` ids. */
function rightIds(requests: number, count = 1): bigint[] {
  return Array.from({ length: requests }, (_, i) => firstIdFor(i))
    .flatMap((first) => Array.from({ length: count }, (_, i) => first + BigInt(i)));
}

describe("IdClient, against a hostile server", () => {
  /**
   * Long enough for any response on loopback, so that the client retransmits only what the server leaves unanswered.
   */
  const PATIENT = { retransmitMs: 60_000, timeoutMs: 120_000 };

  it(`returns the granted ids only, one by one (seed ${SEED})`, async () => {
    await using server = new HostileServer(SEED);
    using client = new IdClient({ port: server.port, ...PATIENT });
    const ids: bigint[] = [];
    for (let i = 0; i < 500; i++) ids.push(await client.nextId());
    assertEquals(ids, rightIds(500));
    assertGreater(server.hostile, 10_000);
  });

  it(`returns the granted ids only, by ranges and from memory (seed ${SEED + 1})`, async () => {
    await using server = new HostileServer(SEED + 1);
    using client = new IdClient({ port: server.port, prefetch: 7, ...PATIENT });
    const ids: bigint[] = [];
    for (let i = 0; i < 100; i++) ids.push(...await client.nextIds(7));
    for (let i = 0; i < 700; i++) ids.push(await client.nextId());
    assertEquals(ids, rightIds(200, 7));
  });

  it(`retransmits while no datagram that comes is a response (seed ${SEED + 2})`, async () => {
    const silent = new Set<number>();
    await using server = new HostileServer(SEED + 2, ({ tagHigh }) => {
      const isFirst = !silent.has(tagHigh);
      silent.add(tagHigh);
      return !isFirst;
    });
    using client = new IdClient({ port: server.port, retransmitMs: 10, timeoutMs: 120_000 });
    const ids: bigint[] = [];
    for (let i = 0; i < 30; i++) ids.push(await client.nextId());
    assertEquals(ids, rightIds(30));
    assert(server.requests.length >= 60, `${server.requests.length} requests`);
  });
});
