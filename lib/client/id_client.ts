import { Mac } from "../access/mac.ts";
import { checkInteger } from "../id/_check.ts";
import { RANGE, RANGE_BYTES, SIGNED_BYTES, WireStatus } from "../wire/protocol.ts";
import { writeRangeRequest } from "../wire/request.ts";
import { type RangeResponse, readRangeResponse } from "../wire/response.ts";
import { ClientClosedError, NoResponseError, RefusedError } from "./errors.ts";

/** What an {@linkcode IdClient} is made from. */
export interface IdClientOptions {
  /** The server's host: an IP address or a name. Default: `"127.0.0.1"`. */
  hostname?: string;
  /** The server's port. Default: 9999. */
  port?: number;
  /** Instead of `port`: all ports of a server whose workers have a port each. They are asked in turn. */
  ports?: readonly number[];
  /**
   * How many ids `nextId` asks for at a time, 1 to 2^32 - 1; those not needed yet are kept in memory for later calls, and
   * so may be older than the call. Default: 1.
   */
  prefetch?: number;
  /** How long to wait for a response before the request is sent again, in ms; twice as long each time. Default: 200. */
  timeoutMs?: number;
  /** How long a request may take altogether, in ms, before it fails. Default: 5000. */
  deadlineMs?: number;
  /** The key that the server wants requests to be signed with, at least 32 bytes. Default: none; requests are not signed. */
  key?: Uint8Array;
}

const MAX_COUNT = 2 ** 32 - 1;
const MAX_MS = 2 ** 31 - 1; // as far as timers go

/** How often in a row a server may say that a request's time is wrong: each of its workers can have a time of its own. */
const MAX_STALE = 16;

/** Where random numbers are put on their way into a request. */
const nonce = new Uint32Array(2);

/** A request that waits for its response, or for its time to try again. */
interface Wait {
  /** How many ids were asked for. */
  readonly count: number;
  /** The request as it was sent last. */
  readonly datagram: DataView | undefined;
  settle(response: RangeResponse | undefined): void;
  fail(error: Error): void;
}

/**
 * Gets ids from a server over UDP. Any number of calls may be under way at once, all on one socket.
 *
 * A request that stays without response is sent again; one that finds the server out of ids waits as long as the server
 * says. A response that was lost costs ids, never uniqueness. It needs Deno with the flag `--unstable-net` and the
 * permission `--allow-net`.
 *
 * @example It needs a server: `deno task serve`
 * ```ts
 * import { IdClient, NoResponseError } from "@global-id/global-id/client";
 *
 * using client = new IdClient({ hostname: "127.0.0.1", port: 9999, prefetch: 100, deadlineMs: 20 });
 * try {
 *   console.log(await client.nextId());
 *   console.log(await client.nextIds(10));
 * } catch (error) {
 *   if (!(error instanceof NoResponseError)) throw error;
 *   console.log(error.message);
 * }
 * ```
 */
export class IdClient implements AsyncIterable<bigint>, Disposable {
  readonly #hostname: string;
  readonly #ports: readonly number[];
  /** Both, for messages. */
  readonly #server: string;
  readonly #prefetch: number;
  readonly #timeoutMs: number;
  readonly #deadlineMs: number;
  readonly #mac: Mac | undefined;
  /** How far the server's clock is ahead of ours, in ms, as far as it matters for signed requests. */
  #serverAheadMs = 0;

  readonly #conn: Deno.DatagramConn;
  #closed = false;
  /** Which of the ports is asked next. */
  #turn = 0;

  /** Requests under way by the lower half of their tag. Both halves begin at random, so that nobody can guess them. */
  readonly #requests = new Map<number, Wait>();
  readonly #tagHigh: number;
  #tagLow: number;
  /** All that a close has to end. */
  readonly #waits = new Set<Wait>();

  /** Why the last send that failed did; that may be why there is no response. */
  #sendError: unknown;

  /** The ids in memory: the next one, the distance to the one after it, and how many there are. */
  #next = 0n;
  #step = 0n;
  #left = 0;
  /** The request that fetches more of them, if one is under way, and how many calls are waiting for it. */
  #refill: Promise<void> | undefined;
  #waiting = 0;

  /**
   * Makes a client and opens its socket.
   *
   * @param options Where the server is, and how the client differs from the defaults.
   * @throws {TypeError | RangeError} If an option is wrong (or the key too short), or this is not Deno with `--unstable-net`.
   * @throws {Deno.errors.NotCapable} If the permission `--allow-net` is missing.
   */
  constructor(options: IdClientOptions = {}) {
    const { hostname = "127.0.0.1", prefetch = 1, timeoutMs = 200, deadlineMs = 5000 } = options;
    if (options.port !== undefined && options.ports !== undefined) {
      throw new TypeError("port and ports cannot both be given: ports is for a server whose workers have a port each");
    }
    const ports = options.ports ?? [options.port ?? 9999];
    if (ports.length === 0) throw new RangeError("ports must not be empty");
    this.#hostname = hostname;
    this.#ports = ports.map((port) => checkInteger("port", port, 1, 65_535));
    this.#server = this.#ports.map((port) => `${hostname}:${port}`).join(", ");
    this.#prefetch = checkInteger("prefetch", prefetch, 1, MAX_COUNT);
    this.#timeoutMs = checkInteger("timeoutMs", timeoutMs, 1, MAX_MS);
    this.#deadlineMs = checkInteger("deadlineMs", deadlineMs, 1, MAX_MS);
    this.#mac = options.key === undefined ? undefined : new Mac(options.key);
    [this.#tagHigh, this.#tagLow] = crypto.getRandomValues(new Uint32Array(2));
    this.#conn = openSocket(hostname);
    this.#receive();
  }

  /**
   * Gets one id.
   *
   * @returns The id. Ids of calls that do not wait for each other come in no certain order.
   * @throws {NoResponseError} If no response came before the deadline.
   * @throws {RefusedError} If the server has no ids before the deadline.
   * @throws {ClientClosedError} If the client is closed.
   */
  nextId(): Promise<bigint> {
    if (this.#closed) return Promise.reject(new ClientClosedError());
    if (this.#prefetch === 1) return this.#request(1).then(({ first }) => first);
    if (this.#left > 0) return Promise.resolve(this.#take());
    return this.#takeAfterRefill();
  }

  /**
   * Gets many ids, in as few requests as the server's ticks allow.
   *
   * @param count How many, 0 to 2^32 - 1.
   * @returns As many ids, ascending unless the server's workers have a port each.
   * @throws {TypeError | RangeError} If the count is not such an integer.
   * @throws {NoResponseError} If no response came before the deadline, which begins anew with every response.
   * @throws {RefusedError} If the server has no ids before the deadline.
   * @throws {ClientClosedError} If the client is closed.
   */
  async nextIds(count: number): Promise<bigint[]> {
    checkInteger("count", count, 0, MAX_COUNT);
    const ids: bigint[] = [];
    while (ids.length < count) {
      const { first, step, granted } = await this.#request(count - ids.length);
      for (let i = 0, id = first; i < granted; i++, id += step) ids.push(id);
    }
    return ids;
  }

  /** Gets ids one after the other, as `nextId` does, until the loop is left or the client is closed. */
  async *[Symbol.asyncIterator](): AsyncGenerator<bigint, void, undefined> {
    while (!this.#closed) yield await this.nextId();
  }

  /** Closes the socket. Calls under way fail with `ClientClosedError`; ids in memory are given up. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#left = 0;
    this.#conn.close();
    for (const wait of this.#waits) wait.fail(new ClientClosedError());
  }

  /** Closes the client. */
  [Symbol.dispose](): void {
    this.close();
  }

  #take(): bigint {
    const id = this.#next;
    this.#next += this.#step;
    this.#left--;
    return id;
  }

  async #takeAfterRefill(): Promise<bigint> {
    this.#waiting++;
    try {
      while (this.#left === 0) {
        this.#refill ??= this.#fetch().finally(() => this.#refill = undefined);
        await this.#refill;
      }
      return this.#take();
    } finally {
      this.#waiting--;
    }
  }

  async #fetch(): Promise<void> {
    const { first, step, granted } = await this.#request(Math.max(this.#prefetch, this.#waiting));
    if (this.#closed) throw new ClientClosedError();
    [this.#next, this.#step, this.#left] = [first, step, granted];
  }

  /** Asks for a range until it is granted, or it is certain that it will not be before the deadline. */
  async #request(count: number): Promise<RangeResponse> {
    if (this.#closed) throw new ClientClosedError();
    const tag = this.#tagLow;
    this.#tagLow = (tag + 1) >>> 0;
    const deadline = performance.now() + this.#deadlineMs;
    let timeoutMs = this.#timeoutMs;
    let refused: RangeResponse[] = [];
    let stale = 0;
    for (let tries = 1;; tries++) {
      const leftMs = deadline - performance.now();
      const response = await this.#try(tag, count, Math.min(timeoutMs, leftMs));
      if (response?.status === WireStatus.OK) return response;
      if (response === undefined) {
        timeoutMs *= 2;
        if (performance.now() < deadline) continue;
        throw new NoResponseError(this.#server, tries, this.#sendError);
      }
      if (response.status === WireStatus.STALE && ++stale < MAX_STALE) {
        this.#serverAheadMs = response.retryAfterMs - Date.now();
        continue;
      }
      if (response.status !== WireStatus.STALE) stale = 0;
      if (isFinal(response.status)) throw new RefusedError(response.status, 0);
      // As long as there are workers not asked yet, one of them may have ids.
      refused.push(response);
      if (refused.length < this.#ports.length) continue;
      const soonest = refused.reduce((a, b) => a.retryAfterMs <= b.retryAfterMs ? a : b);
      const waitMs = Math.max(soonest.retryAfterMs, 1);
      if (performance.now() + waitMs > deadline) throw new RefusedError(soonest.status, soonest.retryAfterMs);
      await this.#wait(waitMs);
      refused = [];
    }
  }

  /** Sends a request to the worker whose turn it is and waits for the response; `undefined` if it does not come in time. */
  async #try(tag: number, count: number, timeoutMs: number): Promise<RangeResponse | undefined> {
    const datagram = this.#writeRequest(tag, count);
    const port = this.#ports[this.#turn];
    this.#turn = (this.#turn + 1) % this.#ports.length;
    const response = this.#wait(timeoutMs, { tag, count, datagram: new DataView(datagram.buffer) });
    this.#conn.send(datagram, { transport: "udp", hostname: this.#hostname, port }).catch((error) => {
      // Where there is no way to the server now, or no address for its name, there may be by the next try.
      this.#sendError = error;
      if (error instanceof Deno.errors.NotCapable) this.#requests.get(tag)?.fail(error);
    });
    return await response;
  }

  /** The request as it is to be sent now: with a key, it is another one each time. */
  #writeRequest(tag: number, count: number): Uint8Array<ArrayBuffer> {
    const datagram = new Uint8Array(this.#mac === undefined ? RANGE_BYTES : SIGNED_BYTES);
    const view = new DataView(datagram.buffer);
    writeRangeRequest(view, count, this.#tagHigh, tag);
    if (this.#mac !== undefined) {
      crypto.getRandomValues(nonce);
      this.#mac.signRequest(view, Date.now() + this.#serverAheadMs, nonce[0], nonce[1]);
    }
    return datagram;
  }

  /** Waits for the response to a request, if one is given, or else just for the time to pass. */
  #wait(ms: number, request?: { tag: number; count: number; datagram: DataView }): Promise<RangeResponse | undefined> {
    return new Promise((resolve, reject) => {
      const end = () => {
        clearTimeout(timer);
        this.#waits.delete(wait);
        if (request !== undefined) this.#requests.delete(request.tag);
      };
      const wait: Wait = {
        count: request?.count ?? 0,
        datagram: request?.datagram,
        settle: (response) => (end(), resolve(response)),
        fail: (error) => (end(), reject(error)),
      };
      const timer = setTimeout(wait.settle, ms, undefined);
      this.#waits.add(wait);
      if (request !== undefined) this.#requests.set(request.tag, wait);
    });
  }

  /** Hands responses to the requests that wait for them, until the client is closed. */
  async #receive(): Promise<void> {
    const buffer = new Uint8Array(65_536);
    const view = new DataView(buffer.buffer);
    while (!this.#closed) {
      try {
        const [datagram] = await this.#conn.receive(buffer);
        const wait = this.#requests.get(view.getUint32(12));
        if (wait === undefined) continue;
        const response = this.#readResponse(view, datagram.length, wait);
        if (response === undefined || response.tagHigh !== this.#tagHigh || response.granted > wait.count) continue;
        this.#sendError = undefined;
        wait.settle(response);
      } catch {
        // Closed; or, on Windows, an earlier datagram reached nobody, which the requests' timeouts take care of.
        if (!this.#closed) await new Promise((resolve) => setTimeout(resolve, 1));
      }
    }
  }

  /** Reads a response, if it is one, and with a key, if it is genuine. */
  #readResponse(datagram: DataView, length: number, wait: Wait): RangeResponse | undefined {
    if (this.#mac === undefined) return readRangeResponse(datagram, length);
    if (!this.#mac.verifyResponse(datagram, length, wait.datagram!)) return undefined;
    datagram.setUint8(0, RANGE);
    return readRangeResponse(datagram, RANGE_BYTES);
  }
}

/** Whether there is no point in asking again after a response that grants nothing. */
function isFinal(status: WireStatus): boolean {
  return status === WireStatus.OUT_OF_TIME || status === WireStatus.BAD_REQUEST || status === WireStatus.STALE;
}

/** A socket of the kind of address that the server has. */
function openSocket(hostname: string): Deno.DatagramConn {
  if (typeof globalThis.Deno?.listenDatagram !== "function") {
    throw new TypeError("IdClient needs Deno with the flag --unstable-net");
  }
  return Deno.listenDatagram({ transport: "udp", hostname: hostname.includes(":") ? "::" : "0.0.0.0", port: 0 });
}
