import { Mac } from "../access/mac.ts";
import { RANGE, RANGE_BYTES, SIGNED_BYTES, WireStatus } from "../wire/protocol.ts";
import { writeRangeRequest } from "../wire/request.ts";
import { type RangeResponse, readRangeResponse } from "../wire/response.ts";
import { RequestTable } from "./_request_table.ts";
import { ClientClosedError, NoResponseError, RefusedError } from "./errors.ts";
import { openRequestSocket } from "./open_request_socket.ts";
import type { RequestSocket } from "./request_socket.ts";

/** What a {@linkcode RangeRequester} is made from: see `IdClientOptions`. */
export interface RangeRequesterOptions {
  /** The server's host. */
  readonly hostname: string;
  /** The ports of its workers, asked in turn; or its one port. */
  readonly ports: readonly number[];
  /** How long to wait for a response before the request is sent again, in ms; twice as long each time. */
  readonly timeoutMs: number;
  /** How long a request may take altogether, in ms. */
  readonly deadlineMs: number;
  /** The key that requests are signed with; `undefined`: they are not. */
  readonly key: Uint8Array | undefined;
}

/** How often in a row a server may say that a request's time is wrong: each of its workers can have a time of its own. */
const MAX_STALE = 16;

/** Where random numbers are put on their way into a request. */
const nonce = new Uint32Array(2);

/** Where requests are written before they are sent. */
const scratch = new DataView(new ArrayBuffer(SIGNED_BYTES));

/** One array for all requests, since most are never refused. */
const NONE: readonly RangeResponse[] = [];

/** A request that waits for its response, or for its time to be sent again. */
class Pending {
  tagHigh = 0;
  tagLow = 0;
  /** How often it was sent. */
  tries = 0;
  /** Whether it waits for a response. */
  isAsking = false;
  /** When it is to be sent again, or given up, in ms on the monotonic clock. */
  dueMs = 0;
  /** As it was sent last, if it is signed. */
  signed: DataView | undefined;
  /** What the workers that were asked have said since it last waited. */
  refused = NONE;
  /** How often in a row its time was wrong. */
  stale = 0;

  constructor(
    readonly count: number,
    readonly deadlineMs: number,
    public timeoutMs: number,
    readonly resolve: (response: RangeResponse) => void,
    readonly reject: (error: Error) => void,
  ) {}
}

/** Asks a server for ranges of ids, any number of requests at once on one socket, and asks again until it gets them. */
export class RangeRequester {
  readonly #options: RangeRequesterOptions;
  readonly #mac: Mac | undefined;
  readonly #socket: RequestSocket;
  #closed = false;
  /** Which of the ports is asked next. */
  #turn = 0;
  /** The requests under way. */
  readonly #pending = new RequestTable<Pending>();
  /** Wakes whichever request is due first: one timer for all, since most requests are answered long before it. */
  #timer: ReturnType<typeof setTimeout> | undefined;
  #timerMs = Infinity;
  /** How far the server's clock is ahead of ours, in ms, as far as it matters for signed requests. */
  #serverAheadMs = 0;
  /** Why the last send that failed did; that may be why there is no response. */
  #sendError: Error | undefined;

  constructor(options: RangeRequesterOptions) {
    this.#options = options;
    this.#mac = options.key === undefined ? undefined : new Mac(options.key);
    this.#socket = openRequestSocket(options.hostname, {
      onDatagram: (datagram, length) => this.#onDatagram(datagram, length),
      onSendError: (error) => this.#onSendError(error),
      isWaiting: () => this.#pending.size > 0,
    });
  }

  /** Asks for a range until it is granted, or it is certain that it will not be before the deadline. */
  request(count: number): Promise<RangeResponse> {
    return new Promise((resolve, reject) => this.begin(count, resolve, reject));
  }

  /** The same without a promise: where every id has one of its own, a second one would take a tenth of the client's time. */
  begin(count: number, resolve: (response: RangeResponse) => void, reject: (error: Error) => void): void {
    if (this.#closed) return reject(new ClientClosedError());
    const { timeoutMs, deadlineMs } = this.#options;
    const nowMs = performance.now();
    const request = new Pending(count, nowMs + deadlineMs, timeoutMs, resolve, reject);
    this.#pending.add(request);
    this.#ask(request, nowMs);
  }

  /** Closes the socket; requests under way fail with `ClientClosedError`. */
  close(): void {
    this.#closed = true;
    this.#socket.close();
    clearTimeout(this.#timer);
    this.#pending.forEach((request) => this.#fail(request, new ClientClosedError()));
  }

  #ask(request: Pending, nowMs: number): void {
    const { ports } = this.#options;
    const port = ports[this.#turn];
    this.#turn = (this.#turn + 1) % ports.length;
    request.tries++;
    request.isAsking = true;
    this.#wakeAt(request, Math.min(nowMs + request.timeoutMs, request.deadlineMs), nowMs);
    this.#socket.send(scratch, this.#write(request), port);
  }

  /** Writes the request as it is to be sent now: with a key, it is another one each time. Returns its length in bytes. */
  #write(request: Pending): number {
    const length = writeRangeRequest(scratch, request.count, request.tagHigh, request.tagLow);
    if (this.#mac === undefined) return length;
    crypto.getRandomValues(nonce);
    this.#mac.signRequest(scratch, Date.now() + this.#serverAheadMs, nonce[0], nonce[1]);
    request.signed = new DataView(scratch.buffer.slice(0));
    return SIGNED_BYTES;
  }

  #onDatagram(datagram: DataView, length: number): void {
    if (length < RANGE_BYTES) return;
    const request = this.#pending.get(datagram.getUint32(8), datagram.getUint32(12));
    if (request === undefined || !request.isAsking) return;
    const response = this.#read(datagram, length, request);
    if (response === undefined || response.granted > request.count) return;
    this.#sendError = undefined;
    if (response.status === WireStatus.OK) {
      this.#pending.delete(request);
      request.resolve(response);
    } else {
      this.#onRefusal(request, response);
    }
  }

  /** Reads a response, if it is one, and with a key, if it is genuine. */
  #read(datagram: DataView, length: number, request: Pending): RangeResponse | undefined {
    if (this.#mac === undefined) return readRangeResponse(datagram, length);
    if (!this.#mac.verifyResponse(datagram, length, request.signed!)) return undefined;
    datagram.setUint8(0, RANGE);
    return readRangeResponse(datagram, RANGE_BYTES);
  }

  #onRefusal(request: Pending, response: RangeResponse): void {
    const nowMs = performance.now();
    if (response.status === WireStatus.STALE && ++request.stale < MAX_STALE) {
      this.#serverAheadMs = response.retryAfterMs - Date.now();
      return this.#ask(request, nowMs);
    }
    if (response.status !== WireStatus.STALE) request.stale = 0;
    if (isFinal(response.status)) return this.#fail(request, new RefusedError(response.status, 0));

    // As long as there are workers not asked yet, one of them may have ids.
    request.refused = [...request.refused, response];
    if (request.refused.length < this.#options.ports.length) return this.#ask(request, nowMs);
    const { status, retryAfterMs } = request.refused.reduce((a, b) => a.retryAfterMs <= b.retryAfterMs ? a : b);
    const againMs = nowMs + Math.max(retryAfterMs, 1);
    if (againMs > request.deadlineMs) return this.#fail(request, new RefusedError(status, retryAfterMs));
    request.refused = NONE;
    request.isAsking = false;
    this.#wakeAt(request, againMs, nowMs);
  }

  #onSendError(error: Error): void {
    // Where there is no way to the server now, or no address for its name, there may be by the next try.
    this.#sendError = error;
    if (!(error instanceof Deno.errors.NotCapable)) return;
    this.#pending.forEach((request) => this.#fail(request, error));
  }

  #wakeAt(request: Pending, dueMs: number, nowMs: number): void {
    request.dueMs = dueMs;
    if (dueMs >= this.#timerMs) return;
    clearTimeout(this.#timer);
    this.#timerMs = dueMs;
    this.#timer = setTimeout(() => this.#onTime(), Math.max(Math.ceil(dueMs - nowMs), 1));
  }

  /** Sees to all requests that are due. */
  #onTime(): void {
    this.#timerMs = Infinity;
    const nowMs = performance.now();
    this.#pending.forEach((request) => {
      if (request.dueMs <= nowMs) this.#onDue(request, nowMs);
      else this.#wakeAt(request, request.dueMs, nowMs);
    });
  }

  #onDue(request: Pending, nowMs: number): void {
    if (request.isAsking) {
      request.timeoutMs *= 2;
      if (nowMs >= request.deadlineMs) {
        const { hostname, ports } = this.#options;
        const server = ports.map((port) => `${hostname}:${port}`).join(", ");
        return this.#fail(request, new NoResponseError(server, request.tries, this.#sendError));
      }
    }
    this.#ask(request, nowMs);
  }

  #fail(request: Pending, error: Error): void {
    this.#pending.delete(request);
    request.reject(error);
  }
}

/** Whether there is no point in asking again after a response that grants nothing. */
function isFinal(status: WireStatus): boolean {
  return status === WireStatus.OUT_OF_TIME || status === WireStatus.BAD_REQUEST || status === WireStatus.STALE;
}
