import { Mac } from "../access/mac.ts";
import { ClosedError } from "../base/errors.ts";
import { RANGE, RANGE_BYTES, SIGNED_BYTES, WireStatus } from "../wire/protocol.ts";
import { writeRangeRequest } from "../wire/request.ts";
import { type RangeResponse, readRangeResponse } from "../wire/response.ts";
import { setImmediate } from "node:timers";
import { isDenial } from "./_is_denial.ts";
import { RandomWords } from "./_random_words.ts";
import { ReceivedIds } from "./_received_ids.ts";
import { isFinal, type Refusal, toError } from "./_refusal.ts";
import { RequestTable } from "./_request_table.ts";
import { NoResponseError, RepeatedIdError } from "./errors.ts";
import { openRequestSocket } from "./open_request_socket.ts";
import type { RequestSocket } from "./request_socket.ts";

/** What a {@linkcode RangeRequester} is made from: see `IdClientOptions`. */
export interface RangeRequesterOptions {
  /** The server's host. */
  readonly hostname: string;
  /** The server's port, or the ports of its workers, which the requester asks in turn. */
  readonly ports: readonly number[];
  /** After how many ms without a response the requester sends a request again. The interval doubles each time. */
  readonly retransmitMs: number;
  /** How long a request may take altogether, in ms. */
  readonly timeoutMs: number;
  /** The key that signs the requests; `undefined`: nothing signs them. */
  readonly key: Uint8Array | undefined;
  /** The name of the cluster that signed requests are for. */
  readonly cluster: string;
}

/** How many times in a row a server may call a request stale: each of its workers can have a clock of its own. */
const MAX_STALE = 16;

/** Where requests are written before they are sent. */
const scratch = new DataView(new ArrayBuffer(SIGNED_BYTES));

/** One array for all requests, since servers refuse few of them. */
const NO_REFUSALS: readonly Refusal[] = [];

/**
 * Fails those of a request's callers whose time is up at `untilMs`, in ms on the monotonic clock. Returns when the time
 * of the next one is up; 0 if there is none, and the request ends.
 */
export type Expire = (untilMs: number, error: Error) => number;

/** A request that waits for its response, or for the time to send it again. */
export class Pending {
  /** The upper 32 bits of the tag. */
  tagHigh = 0;
  /** The lower 32 bits of the tag. */
  tagLow = 0;
  /** How many times it was sent. */
  tries = 0;
  /** Whether it waits for a response. */
  isAsking = false;
  /** The index of the port that it is sent to first. The next ones are the ports after it. */
  turn = 0;
  /** When to send it again, in ms on the monotonic clock. */
  againMs = 0;
  /** The request as it was sent last, if it is signed. */
  signed: DataView | undefined;
  /** The refusals since it was last held back, one from each worker that was asked. */
  refusals = NO_REFUSALS;
  /** How many times in a row a server called it stale. */
  stale = 0;

  /** How many ids it asks for. */
  readonly count: number;
  /** When the time of its first caller is up, in ms on the monotonic clock. */
  deadlineMs: number;
  /** How long to wait for a response before it is retransmitted, in ms. */
  retransmitMs: number;
  readonly resolve: (response: RangeResponse) => void;
  readonly reject: (error: Error) => void;
  /** Fails the callers one by one, if there can be several. */
  readonly expire: Expire | undefined;

  /** Describes a request before it is sent for the first time. */
  constructor(
    count: number,
    deadlineMs: number,
    retransmitMs: number,
    resolve: (response: RangeResponse) => void,
    reject: (error: Error) => void,
    expire: Expire | undefined,
  ) {
    this.count = count;
    this.deadlineMs = deadlineMs;
    this.retransmitMs = retransmitMs;
    this.resolve = resolve;
    this.reject = reject;
    this.expire = expire;
  }

  /** When to do something about it, in ms on the monotonic clock. */
  get dueMs(): number {
    return Math.min(this.againMs, this.deadlineMs);
  }
}

/**
 * Asks a server for ranges of ids, any number of requests at once on one socket, and retransmits unanswered requests.
 */
export class RangeRequester {
  readonly #options: RangeRequesterOptions;
  readonly #mac: Mac | undefined;
  readonly #socket: RequestSocket;
  #closed = false;
  /** The index of the port to ask first in the next request. */
  #turn = 0;
  readonly #received = new ReceivedIds();
  readonly #random = new RandomWords();
  /** The requests under way. */
  readonly #pending = new RequestTable<Pending>();
  /** Goes off when the first request is due: one timer for all, since most responses arrive long before it. */
  #timer: ReturnType<typeof setTimeout> | undefined;
  #timerMs = Infinity;
  /** How far the server's clock is ahead of this machine's, in ms, as far as it matters for signed requests. */
  #serverAheadMs = 0;
  /** Whether the requester will look whether it may rest: see {@linkcode #restSoon}. */
  #isRestDue = false;
  /** Why the last attempt to send failed. It may explain a missing response. */
  #sendError: Error | undefined;

  /**
   * Opens the socket.
   *
   * @throws {TypeError | RangeError} If the key is too short, or not random.
   * @throws {Deno.errors.NotCapable} If there is no socket: see {@linkcode openRequestSocket}.
   */
  constructor(options: RangeRequesterOptions, open: typeof openRequestSocket = openRequestSocket) {
    this.#options = options;
    this.#mac = options.key === undefined ? undefined : new Mac(options.key, options.cluster);
    this.#socket = open(options.hostname, {
      onDatagram: (datagram, length, port) => this.#onDatagram(datagram, length, port),
      onSendError: (error) => this.#onSendError(error),
      isWaiting: () => this.#pending.size > 0,
    });
  }

  /**
   * Asks for a range until a server grants it, or certainly will not in time. It takes functions instead of returning a
   * promise: where every id has a promise of its own, a second one would take a tenth of the client's time. It calls
   * neither before it returns.
   *
   * @param count How many ids to ask for. The response may grant fewer.
   * @param resolve Gets the response that grants ids.
   * @param reject Gets the error.
   * @param startMs When the call that needs the range began, in ms on the monotonic clock: its time-out runs from then
   * on. Left out: now.
   * @param expire Fails the callers whose time is up, where others go on waiting for the same request. Left out: the
   * request has one caller, whom `reject` fails.
   * @returns The request, to be given up if need be.
   */
  begin(
    count: number,
    resolve: (response: RangeResponse) => void,
    reject: (error: Error) => void,
    startMs?: number,
    expire?: Expire,
  ): Pending {
    const { retransmitMs, timeoutMs } = this.#options;
    const nowMs = performance.now();
    const deadlineMs = (startMs ?? nowMs) + timeoutMs;
    const request = new Pending(count, deadlineMs, retransmitMs, resolve, reject, expire);
    if (this.#closed) {
      queueMicrotask(() => reject(new ClosedError("the client")));
      return request;
    }
    request.turn = this.#turn;
    this.#turn = (this.#turn + 1) % this.#options.ports.length;
    this.#pending.add(request);
    if (nowMs < deadlineMs) this.#ask(request, nowMs);
    else this.#wakeAt(deadlineMs, nowMs);
    return request;
  }

  /** Gives up a request that is still under way: it neither resolves nor rejects. */
  giveUp(request: Pending): void {
    this.#pending.delete(request);
    if (this.#pending.size === 0) this.#clearTimer();
  }

  /** Closes the socket; requests under way fail with `ClosedError`. */
  close(): void {
    this.#closed = true;
    this.#socket.close();
    this.#clearTimer();
    this.#pending.forEach((request) => this.#fail(request, new ClosedError("the client")));
  }

  #ask(request: Pending, nowMs: number): void {
    const port = this.#portOf(request, request.tries++);
    request.isAsking = true;
    request.againMs = nowMs + request.retransmitMs;
    this.#wakeAt(request.dueMs, nowMs);
    this.#socket.send(scratch, this.#write(request), port);
  }

  /** The port that a request is sent to at a try, counted from 0. */
  #portOf({ turn }: Pending, tries: number): number {
    const { ports } = this.#options;
    return ports[(turn + tries) % ports.length];
  }

  /** Whether a request was sent to a port. */
  #wasSentTo(port: number, request: Pending): boolean {
    const tries = Math.min(request.tries, this.#options.ports.length);
    for (let i = 0; i < tries; i++) if (this.#portOf(request, i) === port) return true;
    return false;
  }

  /** Writes the request as it is to be sent now: a signed one differs each time. Returns its length in bytes. */
  #write(request: Pending): number {
    const length = writeRangeRequest(scratch, request.count, request.tagHigh, request.tagLow);
    if (this.#mac === undefined) return length;
    this.#mac.signRequest(scratch, Date.now() + this.#serverAheadMs, this.#random.next(), this.#random.next());
    request.signed = new DataView(scratch.buffer.slice(0));
    return SIGNED_BYTES;
  }

  /** Takes a response. Returns whether it is one: to a request under way, from where the request went. */
  #onDatagram(datagram: DataView, length: number, port: number): boolean {
    if (length < RANGE_BYTES) return false;
    const request = this.#pending.get(datagram.getUint32(8), datagram.getUint32(12));
    if (request === undefined || !request.isAsking || !this.#wasSentTo(port, request)) return false;
    const response = this.#read(datagram, length, request);
    if (response === undefined || response.granted > request.count) return false;
    this.#sendError = undefined;
    if (response.status !== WireStatus.OK) {
      this.#onRefusal(request, { status: response.status, retryAfterMs: response.retryAfterMs });
    } else if (this.#received.add(response)) {
      this.#end(request);
      request.resolve(response);
    } else {
      this.#fail(request, new RepeatedIdError(`${this.#options.hostname}:${port}`, response.first));
    }
    return true;
  }

  /** Reads a response, if it is one, and with a key, if it is genuine. */
  #read(datagram: DataView, length: number, request: Pending): RangeResponse | undefined {
    if (this.#mac === undefined) return readRangeResponse(datagram, length);
    if (request.signed === undefined || !this.#mac.verifyResponse(datagram, length, request.signed)) return undefined;
    datagram.setUint8(0, RANGE);
    return readRangeResponse(datagram, RANGE_BYTES);
  }

  #onRefusal(request: Pending, refusal: Refusal): void {
    const nowMs = performance.now();
    if (refusal.status === WireStatus.STALE && ++request.stale < MAX_STALE) {
      this.#serverAheadMs = refusal.retryAfterMs - Date.now();
      return this.#ask(request, nowMs);
    }
    if (refusal.status !== WireStatus.STALE) request.stale = 0;
    if (isFinal(refusal)) return this.#fail(request, toError(refusal));

    // As long as there are workers not asked yet, one of them may have ids.
    request.refusals = [...request.refusals, refusal];
    if (request.refusals.length < this.#options.ports.length) return this.#ask(request, nowMs);
    const soonest = request.refusals.reduce((a, b) => a.retryAfterMs <= b.retryAfterMs ? a : b);
    const againMs = nowMs + Math.max(soonest.retryAfterMs, 1);
    if (request.deadlineMs <= againMs && this.#expire(request, againMs, toError(soonest))) return;
    request.refusals = NO_REFUSALS;
    request.isAsking = false;
    request.againMs = againMs;
    this.#wakeAt(request.dueMs, nowMs);
  }

  #onSendError(error: Error): void {
    // Where there is no route to the server now, or no address for its name, there may be one by the next try.
    this.#sendError = error;
    if (isDenial(error)) this.#pending.forEach((request) => this.#fail(request, error));
  }

  #wakeAt(dueMs: number, nowMs: number): void {
    if (dueMs >= this.#timerMs) return;
    clearTimeout(this.#timer);
    this.#timerMs = dueMs;
    this.#timer = setTimeout(() => this.#onTime(), Math.max(Math.ceil(dueMs - nowMs), 1));
  }

  #clearTimer(): void {
    clearTimeout(this.#timer);
    this.#timerMs = Infinity;
  }

  /**
   * Clears the timer if no request is made before the event loop's next turn: the timer would keep the program alive.
   * Not at once, since most calls are followed by the next one, and to set a timer takes longer than to make a request.
   */
  #restSoon(): void {
    this.#isRestDue = true;
    setImmediate(() => {
      this.#isRestDue = false;
      if (this.#pending.size === 0) this.#clearTimer();
    });
  }

  /** Handles all requests that are due. */
  #onTime(): void {
    this.#timerMs = Infinity;
    const nowMs = performance.now();
    this.#pending.forEach((request) => {
      if (request.dueMs <= nowMs) this.#onDue(request, nowMs);
      else this.#wakeAt(request.dueMs, nowMs);
    });
  }

  #onDue(request: Pending, nowMs: number): void {
    if (request.deadlineMs <= nowMs && this.#expire(request, nowMs, this.#noResponse(request))) return;
    if (request.againMs > nowMs) return this.#wakeAt(request.dueMs, nowMs);
    if (request.isAsking) request.retransmitMs *= 2;
    this.#ask(request, nowMs);
  }

  /** Fails the callers whose time is up at `untilMs`, the first among them. Returns whether that ends the request. */
  #expire(request: Pending, untilMs: number, error: Error): boolean {
    request.deadlineMs = request.expire?.(untilMs, error) ?? 0;
    if (request.deadlineMs > untilMs) return false;
    this.#fail(request, error);
    return true;
  }

  #noResponse({ tries }: Pending): NoResponseError {
    const { hostname, ports } = this.#options;
    return new NoResponseError(ports.map((port) => `${hostname}:${port}`).join(", "), tries, this.#sendError);
  }

  #fail(request: Pending, error: Error): void {
    this.#end(request);
    request.reject(error);
  }

  #end(request: Pending): void {
    this.#pending.delete(request);
    if (this.#pending.size === 0 && !this.#isRestDue) this.#restSoon();
  }
}
