import { setImmediate } from "node:timers";
import { Mac } from "../access/mac.ts";
import { ClosedError } from "../base/errors.ts";
import { RANGE, RANGE_BYTES, SIGNED_BYTES, WireStatus } from "../wire/protocol.ts";
import { writeRangeRequest } from "../wire/request.ts";
import { type RangeResponse, readRangeResponse } from "../wire/response.ts";
import type { FindServers } from "./find_servers.ts";
import { isDenial } from "./_is_denial.ts";
import { NearestServer } from "./_nearest_server.ts";
import { type Expire, type OnRange, PendingRequest } from "./_pending_request.ts";
import { PortRotation } from "./_port_rotation.ts";
import { RandomWords } from "./_random_words.ts";
import { ReceivedIds } from "./_received_ids.ts";
import { isFinal, type Refusal, toError } from "./_refusal.ts";
import { RequestTable } from "./_request_table.ts";
import { Host, type Server } from "./_server.ts";
import type { ServerChoice } from "./_server_choice.ts";
import type { Endpoint } from "./endpoint.ts";
import { NoResponseError, RepeatedIdError } from "./errors.ts";
import { openRequestSocket } from "./open_request_socket.ts";
import type { RequestSocket } from "./request_socket.ts";

/** The ports of one host, which are asked in turn. */
export interface HostPorts {
  readonly hostname: string;
  readonly ports: readonly number[];
}

/** What a {@linkcode RangeRequester} is made from: see `IdClientOptions`. */
export interface RangeRequesterOptions {
  /** Where the servers are: the ports of one host, or several servers, or what finds them. */
  readonly servers: HostPorts | readonly Endpoint[] | FindServers;
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

/** For how long a server is passed over that refuses for good, in ms: another may not. */
const REST_MS = 1000;

/** How long a probe waits for a response, in ms. */
const PROBE_MS = 500;

/**
 * How late the timer may be, in ms, for a request without a response to count as unanswered. If the event loop was busy
 * for longer, responses may wait in the socket: the request has so many ms more, once.
 */
const MAX_LATE_MS = 5;

/** Where requests are written before they are sent. */
const scratch = new DataView(new ArrayBuffer(SIGNED_BYTES));

/**
 * Asks servers for ranges of ids, any number of requests at once, retransmits unanswered requests, and goes on to the
 * next server where one refuses or does not respond.
 */
export class RangeRequester {
  readonly #options: RangeRequesterOptions;
  readonly #mac: Mac | undefined;
  readonly #choice: ServerChoice;
  readonly #open: typeof openRequestSocket;
  #closed = false;
  readonly #received = new ReceivedIds();
  readonly #random = new RandomWords();
  /** The requests under way, and how many of them are probes. */
  readonly #pending = new RequestTable<PendingRequest>();
  #probes = 0;
  /** Goes off when the first request is due: one timer for all, since most responses arrive long before it. */
  #timer: ReturnType<typeof setTimeout> | undefined;
  #timerMs = Infinity;
  /** Whether the requester will look whether it may rest: see {@linkcode #restSoon}. */
  #isRestDue = false;
  /** Why the last attempt to send failed. It may explain a missing response. */
  #sendError: Error | undefined;

  /**
   * Opens the sockets to the servers that are known.
   *
   * @throws {TypeError | RangeError} If the key is too short, or not random.
   * @throws {Deno.errors.NotCapable} If there is no socket: see {@linkcode openRequestSocket}.
   */
  constructor(options: RangeRequesterOptions, open: typeof openRequestSocket = openRequestSocket) {
    this.#options = options;
    this.#open = open;
    this.#mac = options.key === undefined ? undefined : new Mac(options.key, options.cluster);
    this.#choice = this.#chooseFrom(options.servers);
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
    resolve: OnRange,
    reject: (error: Error) => void,
    startMs?: number,
    expire?: Expire,
  ): PendingRequest {
    const { retransmitMs, timeoutMs } = this.#options;
    const nowMs = performance.now();
    const deadlineMs = (startMs ?? nowMs) + timeoutMs;
    const request = new PendingRequest(count, deadlineMs, retransmitMs, resolve, reject, expire);
    if (this.#closed) {
      queueMicrotask(() => reject(new ClosedError("the client")));
      return request;
    }
    this.#pending.add(request);
    if (nowMs < deadlineMs) this.#ask(request, this.#choice.first(nowMs), nowMs);
    else this.#wakeAt(deadlineMs, nowMs);
    return request;
  }

  /** Gives up a request that is still under way: it neither resolves nor rejects. */
  giveUp(request: PendingRequest): void {
    this.#end(request);
    this.#restIfIdle();
  }

  /** Closes the sockets; requests under way fail with `ClosedError`. */
  close(): void {
    this.#closed = true;
    this.#choice.close();
    this.#clearTimer();
    this.#pending.forEach((request) => this.#fail(request, new ClosedError("the client")));
  }

  #chooseFrom(servers: RangeRequesterOptions["servers"]): ServerChoice {
    const open = (hostname: string) => new Host(hostname, (host) => this.#openSocket(host));
    if ("ports" in servers) return new PortRotation(open(servers.hostname), servers.ports);
    return new NearestServer(servers, {
      open,
      probe: (server, onFailure) => this.#probe(server, onFailure),
      onServers: () => this.#askAllWaiting(),
      onFindError: (error) => this.#sendError = error,
    });
  }

  #openSocket(host: Host): RequestSocket {
    return this.#open(host.hostname, {
      onDatagram: (datagram, length, port) => this.#onDatagram(host, datagram, length, port),
      onSendError: (error) => this.#onSendError(host, error),
      isWaiting: () => host.outstanding > 0,
    });
  }

  /** Asks a server. Without one, the request waits for servers that are yet to be found. */
  #ask(request: PendingRequest, server: Server | undefined, nowMs: number): void {
    request.retransmitAtMs = nowMs + request.retransmitMs;
    request.againMs = request.retransmitAtMs;
    if (server === undefined) return this.#wakeAt(request.dueMs, nowMs);
    if (!request.isProbe) request.againMs = Math.min(request.againMs, nowMs + this.#choice.patienceMs(server));
    request.servers = request.servers.length === 0 ? server.alone : [...request.servers, server];
    request.isAsking = true;
    request.sentMs = nowMs;
    server.host.outstanding++;
    this.#choice.onSent(server, request, nowMs);
    this.#wakeAt(request.dueMs, nowMs);
    server.host.socket.send(scratch, this.#write(request, server), server.port);
  }

  /** Asks for one id, to find out whether a server responds. Nobody waits for it. */
  #probe(server: Server, onFailure: () => void): PendingRequest {
    const nowMs = performance.now();
    const request = new PendingRequest(1, nowMs + PROBE_MS, Infinity, () => {}, onFailure);
    request.isProbe = true;
    this.#probes++;
    this.#pending.add(request);
    this.#ask(request, server, nowMs);
    return request;
  }

  /** Asks for those who wait until a server is known. */
  #askAllWaiting(): void {
    const nowMs = performance.now();
    this.#pending.forEach((request) => {
      if (request.servers.length === 0 && nowMs < request.deadlineMs) {
        this.#ask(request, this.#choice.first(nowMs), nowMs);
      }
    });
  }

  /** Writes the request as it is to be sent now: a signed one differs each time. Returns its length in bytes. */
  #write(request: PendingRequest, { aheadMs }: Server): number {
    const length = writeRangeRequest(scratch, request.count, request.tagHigh, request.tagLow);
    if (this.#mac === undefined) return length;
    this.#mac.signRequest(scratch, Date.now() + aheadMs, this.#random.next(), this.#random.next());
    request.signed = [...(request.signed ?? []), new DataView(scratch.buffer.slice(0))];
    return SIGNED_BYTES;
  }

  /** Takes a response. Returns whether it is one: to a request under way, from where the request went. */
  #onDatagram(host: Host, datagram: DataView, length: number, port: number): boolean {
    if (length < RANGE_BYTES) return false;
    const request = this.#pending.get(datagram.getUint32(8), datagram.getUint32(12));
    if (request === undefined || !request.isAsking) return false;
    const server = request.serverAt(host, port);
    if (server === undefined) return false;
    const response = this.#read(datagram, length, request, server);
    if (response === undefined || response.granted > request.count) return false;
    this.#sendError = undefined;
    this.#choice.onResponse(server, request);
    if (response.status !== WireStatus.OK) {
      this.#onRefusal(request, { server, status: response.status, retryAfterMs: response.retryAfterMs });
    } else if (this.#received.add(response)) {
      this.#end(request);
      request.resolve(response, server);
    } else {
      this.#fail(request, new RepeatedIdError(server.name, response.first));
    }
    return true;
  }

  /** Reads a response, if it is one, and with a key, if it is genuine. */
  #read(datagram: DataView, length: number, request: PendingRequest, server: Server): RangeResponse | undefined {
    const mac = this.#mac;
    if (mac === undefined) return readRangeResponse(datagram, length);
    const isGenuine = request.signed?.some((signed, i) =>
      request.servers[i] === server && mac.verifyResponse(datagram, length, signed)
    );
    if (!isGenuine) return undefined;
    datagram.setUint8(0, RANGE);
    return readRangeResponse(datagram, RANGE_BYTES);
  }

  #onRefusal(request: PendingRequest, refusal: Refusal): void {
    const nowMs = performance.now();
    const { server } = refusal;
    if (refusal.status === WireStatus.STALE && ++request.stale < MAX_STALE) {
      server.aheadMs = refusal.retryAfterMs - Date.now();
      return this.#ask(request, server, nowMs);
    }
    if (refusal.status !== WireStatus.STALE) request.stale = 0;
    const retryAfterMs = isFinal(refusal) ? REST_MS : refusal.retryAfterMs;
    this.#choice.onRefusal(server, retryAfterMs, nowMs);
    if (request.isProbe) return this.#end(request);
    if (request.isRefusedBy(server) || !request.isAsked(server)) return;

    // As long as there are servers not asked yet, one of them may have ids.
    request.refusals = [...request.refusals, refusal];
    const next = this.#choice.next(request, nowMs);
    if (next !== undefined) return this.#ask(request, next, nowMs);
    if (request.isRefused) return this.#onRefused(request, nowMs);

    // Another one may still answer, but may be silent as well.
    request.retransmitAtMs = Math.min(request.retransmitAtMs, nowMs + Math.max(retryAfterMs, 1));
    request.againMs = Math.min(request.againMs, request.retransmitAtMs);
    this.#wakeAt(request.dueMs, nowMs);
  }

  /** All servers have refused: waits until the first of them has ids again. */
  #onRefused(request: PendingRequest, nowMs: number): void {
    const passing = request.refusals.filter((refusal) => !isFinal(refusal));
    if (passing.length === 0) return this.#fail(request, toError(request.refusals[0]));
    const soonest = passing.reduce((a, b) => a.retryAfterMs <= b.retryAfterMs ? a : b);
    request.againMs = nowMs + Math.max(soonest.retryAfterMs, 1);
    request.isAsking = false;
    if (request.deadlineMs <= request.againMs && this.#expire(request, request.againMs, toError(soonest))) return;
    this.#wakeAt(request.dueMs, nowMs);
  }

  #onSendError(host: Host, error: Error): void {
    // Where there is no route to the server now, or no address for its name, there may be one by the next try.
    this.#sendError = error;
    if (!isDenial(error)) return;
    host.isDenied = true;
    if (this.#choice.servers.some((server) => !server.host.isDenied)) return;
    host.isDenied = false; // the next request finds out whether it still is
    this.#pending.forEach((request) => this.#fail(request, error));
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
   * Rests if no request is made before the event loop's next turn. Not at once, since most calls are followed by the
   * next one, and to set a timer takes longer than to make a request.
   */
  #restSoon(): void {
    this.#isRestDue = true;
    setImmediate(() => {
      this.#isRestDue = false;
      this.#restIfIdle();
    });
  }

  /** Clears the timer and gives up the probes if nobody waits: they would keep the program alive. */
  #restIfIdle(): void {
    if (this.#pending.size > this.#probes) return;
    this.#clearTimer();
    this.#pending.forEach((probe) => this.#end(probe));
  }

  /** Handles all requests that are due. */
  #onTime(): void {
    const nowMs = performance.now();
    const isLate = nowMs - this.#timerMs > MAX_LATE_MS;
    this.#timerMs = Infinity;
    this.#pending.forEach((request) => {
      if (request.dueMs <= nowMs) this.#onDue(request, nowMs, isLate);
      else this.#wakeAt(request.dueMs, nowMs);
    });
  }

  #onDue(request: PendingRequest, nowMs: number, isLate: boolean): void {
    if (request.deadlineMs <= nowMs && this.#expire(request, nowMs, this.#noResponse(request))) return;
    if (request.againMs > nowMs) return this.#wakeAt(request.dueMs, nowMs);
    if (request.isAsking && nowMs < request.retransmitAtMs) return this.#hedge(request, nowMs, isLate);
    if (request.isAsking) request.retransmitMs *= 2;
    request.beginRound();
    const isNew = request.servers.length === 0;
    this.#ask(request, isNew ? this.#choice.first(nowMs) : this.#choice.next(request, nowMs), nowMs);
  }

  /** Asks the next server, if there is one and it may; else looks again before the request is retransmitted. */
  #hedge(request: PendingRequest, nowMs: number, isLate: boolean): void {
    const server = request.lastServer;
    const next = this.#choice.next(request, nowMs);
    let waitMs = Infinity;
    if (isLate && !request.isExcused) {
      request.isExcused = true;
      waitMs = MAX_LATE_MS;
    } else if (next !== undefined && this.#choice.mayHedge(request, nowMs)) {
      return this.#ask(request, next, nowMs);
    } else if (next !== undefined && server !== undefined) waitMs = this.#choice.patienceMs(server);
    request.againMs = Math.min(nowMs + waitMs, request.retransmitAtMs);
    this.#wakeAt(request.dueMs, nowMs);
  }

  /** Fails the callers whose time is up at `untilMs`, the first among them. Returns whether that ends the request. */
  #expire(request: PendingRequest, untilMs: number, error: Error): boolean {
    request.deadlineMs = request.expire?.(untilMs, error) ?? 0;
    if (request.deadlineMs > untilMs) return false;
    this.#fail(request, error);
    return true;
  }

  #noResponse({ servers }: PendingRequest): NoResponseError {
    const names = this.#choice.servers.map(({ name }) => name).join(", ");
    return new NoResponseError(names, servers.length, this.#sendError);
  }

  #fail(request: PendingRequest, error: Error): void {
    this.#end(request);
    request.reject(error);
  }

  #end(request: PendingRequest): void {
    if (!this.#pending.delete(request)) return;
    for (const { host } of request.servers) host.outstanding--;
    if (request.isProbe) {
      this.#probes--;
      for (const server of request.servers) server.probe = undefined;
    }
    if (this.#pending.size === this.#probes && !this.#isRestDue) this.#restSoon();
  }
}
