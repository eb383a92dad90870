import { clusterOf } from "../access/cluster.ts";
import { abortable } from "../base/abortable.ts";
import { checkInteger, describe } from "../base/check.ts";
import { unlessClosed } from "../base/unless_closed.ts";
import { ClosedError } from "../base/errors.ts";
import type { RangeResponse } from "../wire/response.ts";
import { PrefetchedIds } from "./_prefetched_ids.ts";
import type { OnRange, PendingRequest } from "./_pending_request.ts";
import { RangeRequester, type RangeRequesterOptions } from "./_range_requester.ts";
import { findServers, type Servers, storeNameOf } from "./find_servers.ts";
import { readEndpoint } from "./endpoint.ts";

/**
 * What an {@linkcode IdClient} is made from.
 *
 * @example A server on another machine
 * ```ts
 * import { IdClient, type IdClientOptions } from "@global-id/global-id/client";
 *
 * const options: IdClientOptions = { hostname: "192.0.2.1", prefetch: 100, timeoutMs: 1000 };
 * using client = new IdClient(options);
 * ```
 */
export interface IdClientOptions {
  /**
   * The server's host: an IP address or a name. Of a name, the client tries all addresses.
   *
   * @default {"127.0.0.1"}
   */
  hostname?: string;
  /**
   * The server's port, 1 to 65,535. For a server whose workers have a port each, all of their ports: the client asks
   * them in turn.
   *
   * @default {9999}
   */
  port?: number | readonly number[];
  /**
   * Several servers, in place of `hostname` and `port`: a list of `host:port`, `[IPv6 address]:port` or objects;
   * `dns:NAME:PORT`, all addresses of a name; or a function that finds them. The client asks one of them, and goes on
   * to the next as soon as that one does not respond or has no ids. It looks for servers again every 30 s, and when one
   * falls silent, if they are not a list.
   *
   * @default {undefined}
   */
  servers?: Servers;
  /**
   * How many ids `nextId` fetches at a time, 1 to 2^32 - 1. The client keeps the others in memory for later calls, so
   * an id may be older than the call that gets it.
   *
   * @default {1}
   */
  prefetch?: number;
  /**
   * For how long the client keeps ids in memory, in ms, 1 to 2^31 - 1: it drops those that came longer ago, as
   * soon as the event loop has a turn. So ids do not tell a time long before the call that gets them. Dropped ids are
   * lost, never repeated.
   *
   * @default {1000}
   */
  maxAgeMs?: number;
  /**
   * After how many ms without a response the client sends a request again, 1 to 2^31 - 1. The interval doubles each
   * time.
   *
   * @default {200}
   */
  retransmitMs?: number;
  /**
   * How long a call may take altogether, in ms, before it fails, 1 to 2^31 - 1.
   *
   * @default {5000}
   */
  timeoutMs?: number;
  /**
   * The key that signs the requests, at least 32 random bytes, for a server with `--key-file`. Without a key, the
   * requests are not signed.
   *
   * @default {undefined}
   */
  key?: Uint8Array;
  /**
   * The name of the cluster whose ids the client wants, 1 to 64 printable ASCII characters without spaces. With a key,
   * servers of other clusters do not answer, even if they have the same key. Without a key, the name has no effect.
   *
   * The servers have it from `--cluster`, else from the store that they share: etcd's prefix, or PostgreSQL's database.
   * With `servers: "store:etcd://…/PREFIX"`, the client takes it from the URL as they do. A client that finds them in
   * another way, such as a function or their addresses, must be told.
   *
   * @default {"global-id"}
   */
  cluster?: string;
}

/**
 * How one call of an {@linkcode IdClient} differs from others.
 *
 * @example A call that takes no longer than 50 ms
 * ```ts
 * import { type IdCallOptions, IdClient } from "@global-id/global-id/client";
 *
 * using client = new IdClient();
 * const options: IdCallOptions = { signal: AbortSignal.timeout(50) };
 * await client.nextId(options).catch((error) => console.log(error.name)); // TimeoutError, unless a server responds
 * ```
 */
export interface IdCallOptions {
  /**
   * Aborts the call, which then rejects with the signal's reason. Ids that a server grants to the call all the same are
   * lost, never repeated, unless other calls wait for them too.
   *
   * @default {undefined}
   */
  signal?: AbortSignal;
}

const MAX_COUNT = 2 ** 32 - 1;
const MAX_MS = 2 ** 31 - 1; // as far as timers go

/**
 * Gets ids from a server over UDP, or from one of several. Any number of calls may be under way at once, on one socket
 * for each server.
 *
 * The client retransmits unanswered requests. When the server is out of ids, the client waits as long as the server
 * says. A lost response costs ids, never uniqueness.
 *
 * Of a name, the client tries all addresses, IPv6 and IPv4 in turn, 250 ms apart, and keeps the one that answers (RFC
 * 8305, "Happy Eyeballs"). When no response has come for a second, it looks again.
 *
 * Of several servers, the client asks the first in the list, unless another answers much sooner, and keeps it. A
 * request that it has not answered after 15 ms, or three times the usual time if that is more, goes to the next one as
 * well; so does every other request, if the server has answered none for so long, and until it answers again. This
 * makes a tenth more requests at most, apart from those that are under way when a server falls silent. A server that
 * has no ids is passed over as well. All servers have the same key and cluster.
 *
 * Ids of one server are in order, as far as its own are. Ids of another server, which follow when the client goes on to
 * it, can be lower by as much as the two clocks differ, and within a tick. After an id of another server, the client
 * hands out none that it has fetched from the first one before.
 *
 * The client runs in Deno (with the permission `--allow-net`), Node and Bun. In Deno, the flag `--unstable-net` makes
 * it faster, and on Linux the permission `--allow-ffi` makes more than ten times as many requests a second.
 *
 * @example It needs a server: `deno task serve`
 * ```ts
 * import { IdClient, NoResponseError } from "@global-id/global-id/client";
 *
 * using client = new IdClient({ hostname: "127.0.0.1", port: 9999, prefetch: 100, timeoutMs: 20 });
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
  readonly #requester: RangeRequester;
  readonly #prefetched: PrefetchedIds | undefined;
  #closed = false;

  /**
   * Makes a client and opens its socket.
   *
   * @param options Where the server is, and how the client differs from the defaults.
   * @throws {TypeError | RangeError} If an option is wrong, or the key too short or not random.
   * @throws {Deno.errors.NotCapable} If Deno's permission `--allow-net` is missing. Where the host is a name, the first
   * request fails instead.
   */
  constructor(options: IdClientOptions = {}) {
    const { prefetch = 1, maxAgeMs = 1000, key, cluster } = options;
    const { retransmitMs = 200, timeoutMs = 5000 } = options;
    checkInteger("prefetch", prefetch, 1, MAX_COUNT);
    checkInteger("maxAgeMs", maxAgeMs, 1, MAX_MS);
    this.#requester = new RangeRequester({
      servers: readServers(options),
      retransmitMs: checkInteger("retransmitMs", retransmitMs, 1, MAX_MS),
      timeoutMs: checkInteger("timeoutMs", timeoutMs, 1, MAX_MS),
      key,
      cluster: clusterOf(cluster, key && storeNameOf(options.servers)),
    });
    if (prefetch > 1) this.#prefetched = new PrefetchedIds(this.#requester, { prefetch, maxAgeMs, timeoutMs });
  }

  /**
   * Gets one id.
   *
   * @param options How this call differs from others.
   * @returns The id. Ids of calls that do not wait for each other come in no certain order.
   * @throws {NoResponseError} If no response came before the time-out.
   * @throws {UnavailableError} If the server has no ids before the time-out.
   * @throws {RefusedError} If the server will not give ids later either.
   * @throws {RepeatedIdError} If the server granted ids that this client had got before.
   * @throws {ClosedError} If the client is closed.
   */
  nextId(options?: IdCallOptions): Promise<bigint> {
    if (this.#closed) return Promise.reject(new ClosedError("the client"));
    const signal = options?.signal;
    const prefetched = this.#prefetched;
    if (prefetched === undefined) return abortable(this.#requestId, this.#giveUp, signal);
    if (prefetched.size > 0 && !signal?.aborted) return Promise.resolve(prefetched.take());
    return abortable(prefetched.wait, prefetched.giveUp, signal);
  }

  /**
   * Gets many ids, in as few requests as the server allows.
   *
   * If the call fails or is aborted, the ids that it has got so far are lost, never repeated.
   *
   * @param count How many, 0 to 2^32 - 1.
   * @param options How this call differs from others.
   * @returns As many ids, ascending unless the server's workers have a port each.
   * @throws {TypeError | RangeError} If the count is not such an integer.
   * @throws {NoResponseError} If the time-out passed before all ids came.
   * @throws {UnavailableError} If the server has not enough ids before the time-out.
   * @throws {RefusedError} If the server will not give ids later either.
   * @throws {RepeatedIdError} If the server granted ids that this client had got before.
   * @throws {ClosedError} If the client is closed.
   */
  async nextIds(count: number, options?: IdCallOptions): Promise<bigint[]> {
    checkInteger("count", count, 0, MAX_COUNT);
    const signal = options?.signal;
    signal?.throwIfAborted();
    const startMs = performance.now();
    const ids: bigint[] = [];
    while (ids.length < count) {
      const { first, step, granted } = await abortable<RangeResponse, PendingRequest>(
        (resolve, reject) => this.#requester.begin(count - ids.length, this.#withoutOlder(resolve), reject, startMs),
        this.#giveUp,
        signal,
      );
      for (let i = 0, id = first; i < granted; i++, id += step) ids.push(id);
    }
    return ids;
  }

  /** Gets ids one after the other, as `nextId` does, until the loop is left or the client is closed. */
  async *[Symbol.asyncIterator](): AsyncGenerator<bigint, void, undefined> {
    while (!this.#closed) {
      const id = await unlessClosed(this.nextId());
      if (id !== undefined) yield id;
    }
  }

  /** Closes the socket. Calls under way fail with `ClosedError`; the ids in memory are lost, never repeated. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#prefetched?.close();
    this.#requester.close();
  }

  /** Closes the client. */
  [Symbol.dispose](): void {
    this.close();
  }

  /** Ids of one server that were fetched ahead are not handed out after those of another. */
  #withoutOlder(resolve: (response: RangeResponse) => void): OnRange {
    return (response, server) => {
      this.#prefetched?.keepOnlyOf(server);
      resolve(response);
    };
  }

  // Made once for all calls: a function for each call would cost time.
  readonly #requestId = (resolve: (id: bigint) => void, reject: (error: Error) => void): PendingRequest =>
    this.#requester.begin(1, ({ first }) => resolve(first), reject);
  readonly #giveUp = (request: PendingRequest): void => this.#requester.giveUp(request);
}

/** Reads where the servers are. */
function readServers({ servers, hostname, port }: IdClientOptions): RangeRequesterOptions["servers"] {
  if (servers === undefined) return { hostname: hostname ?? "127.0.0.1", ports: checkPorts(port ?? 9999) };
  if (hostname !== undefined || port !== undefined) {
    throw new TypeError("servers takes the place of hostname and port: leave these two out");
  }
  if (!Array.isArray(servers)) return findServers(servers as Exclude<Servers, readonly unknown[]>);
  if (servers.length === 0) throw new RangeError("servers must have at least one server: got none");
  return servers.map(readEndpoint);
}

function checkPorts(port: number | readonly number[]): readonly number[] {
  const ports = [port].flat();
  if (ports.length === 0) throw new RangeError(`port must be at least one port: got ${describe(port)}`);
  return ports.map((port) => checkInteger("port", port, 1, 65_535));
}
