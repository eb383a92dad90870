import { checkInteger } from "../base/check.ts";
import { RangeRequester } from "./_range_requester.ts";
import { ClientClosedError } from "./errors.ts";

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

/**
 * Gets ids from a server over UDP. Any number of calls may be under way at once, all on one socket.
 *
 * A request that stays without response is sent again; one that finds the server out of ids waits as long as the server
 * says. A response that was lost costs ids, never uniqueness. It needs Deno with the flag `--unstable-net` and the
 * permission `--allow-net`. With `--allow-ffi`, on Linux, it makes more than ten times as many requests a second.
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
  readonly #prefetch: number;
  readonly #requester: RangeRequester;
  #closed = false;

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
    this.#prefetch = checkInteger("prefetch", prefetch, 1, MAX_COUNT);
    this.#requester = new RangeRequester({
      hostname,
      ports: ports.map((port) => checkInteger("port", port, 1, 65_535)),
      timeoutMs: checkInteger("timeoutMs", timeoutMs, 1, MAX_MS),
      deadlineMs: checkInteger("deadlineMs", deadlineMs, 1, MAX_MS),
      key: options.key,
    });
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
    if (this.#prefetch === 1) {
      return new Promise((resolve, reject) => this.#requester.begin(1, ({ first }) => resolve(first), reject));
    }
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
      const { first, step, granted } = await this.#requester.request(count - ids.length);
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
    this.#requester.close();
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
    const { first, step, granted } = await this.#requester.request(Math.max(this.#prefetch, this.#waiting));
    if (this.#closed) throw new ClientClosedError();
    [this.#next, this.#step, this.#left] = [first, step, granted];
  }
}
