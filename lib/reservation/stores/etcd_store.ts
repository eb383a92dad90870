import { base64 } from "@scure/base";
import { describe } from "../../base/check.ts";
import { StoreError } from "../errors.ts";
import type { ReservationStore, StoreHistory } from "../store.ts";
import { readEtcdFiles } from "./_etcd_files.ts";
import { type EtcdAnswer, type EtcdCredentials, EtcdGateway } from "./_etcd_gateway.ts";
import { EtcdListing, type RangeAnswer, type ReadRecord } from "./_etcd_listing.ts";
import { type EtcdTls, type HttpClient, makeHttpClient } from "./_etcd_http.ts";
import { parseEtcdUrl } from "./_etcd_url.ts";

export type { EtcdCredentials, EtcdTls };

/** What all keys begin with by default. */
const DEFAULT_PREFIX = "global-id";

/** The `Date` of an answer has whole seconds, cut off: the middle of the second is half a second off at most. */
const HALF_SECOND_MS = 500;

/**
 * Options for {@linkcode EtcdReservationStore}.
 *
 * @example A cluster that asks for a password
 * ```ts
 * import { EtcdReservationStore, type EtcdStoreOptions } from "@global-id/global-id/etcd-store";
 *
 * const options: EtcdStoreOptions = {
 *   endpoints: ["https://10.0.0.1:2379", "https://10.0.0.2:2379", "https://10.0.0.3:2379"],
 *   credentials: { user: "global-id", password: "…" },
 * };
 * using store = new EtcdReservationStore(options);
 * ```
 */
export interface EtcdStoreOptions {
  /** The addresses of the members, as `http://HOST:PORT` or `https://HOST:PORT`: all of them, so that any may fail. */
  readonly endpoints: readonly string[];
  /**
   * What all keys begin with: the record of node 7 has the key `PREFIX/nodes/7`.
   *
   * @default {"global-id"}
   */
  readonly prefix?: string;
  /**
   * The user, where etcd has users and roles. It needs the permission to read and write `PREFIX/`.
   *
   * @default {undefined}
   */
  readonly credentials?: EtcdCredentials;
  /**
   * Certificates, in Deno only. In Node and Bun, `NODE_EXTRA_CA_CERTS` names the authority's.
   *
   * @default {undefined}
   */
  readonly tls?: EtcdTls;
}

/**
 * Keeps reservations in etcd 3.4 or later, a key for each node, for any number of machines. It uses etcd's JSON gateway
 * and the runtime's `fetch`, and nothing else.
 *
 * A change is a transaction on the key's value, never on its revision, which a restored cluster counts anew. etcd has
 * written a change to the disks of most members before it acknowledges it. A call fails after 10 s without an answer,
 * or after 60 s if it lists all nodes. A member that stands still costs 0.1 s once: another one is asked then. While
 * there is no leader, calls wait until there is one.
 *
 * etcd keeps all old values until it is told not to: start it with `--auto-compaction-retention=5m`, or its quota will
 * be full after hours or days.
 *
 * @example
 * ```ts no-assert
 * import { IdGenerator } from "@global-id/global-id";
 * import { EtcdReservationStore } from "@global-id/global-id/etcd-store";
 *
 * async function openGenerator(): Promise<IdGenerator> {
 *   const store = await EtcdReservationStore.fromUrl("etcd://10.0.0.1,10.0.0.2,10.0.0.3/global-id");
 *   return await IdGenerator.open({ store });
 * }
 * ```
 */
export class EtcdReservationStore implements ReservationStore, Disposable {
  readonly #nodes: string;
  readonly #http: HttpClient;
  readonly #gateway: EtcdGateway;
  #isClosed = false;
  #listing: EtcdListing | undefined;
  #history: StoreHistory | undefined;
  /** When the answer arrived that told the history, on the monotonic clock, in ms. */
  #historyMs = 0;

  /**
   * Prepares a store; nothing is sent yet.
   *
   * @param options Where the cluster is.
   * @throws {TypeError} If there is no endpoint, or there are certificates in another runtime than Deno.
   * @throws {SyntaxError} If an endpoint is no address.
   */
  constructor({ endpoints, prefix = DEFAULT_PREFIX, credentials, tls }: EtcdStoreOptions) {
    if (endpoints.length === 0) throw new TypeError("an etcd store needs an endpoint, such as http://10.0.0.1:2379");
    this.#nodes = `${prefix.replace(/\/+$/, "")}/nodes/`;
    this.#http = makeHttpClient(tls);
    this.#gateway = new EtcdGateway(endpoints.map(checkEndpoint), credentials, this.#http.send);
  }

  /**
   * Prepares a store that a URL names: `etcd://HOST:PORT,HOST:PORT/PREFIX`, or `etcds://…` with TLS. Files can follow:
   * `?credentials=FILE` has one line `USER:PASSWORD`; `ca`, `cert` and `key` are of the PEM format. Of the files with
   * the password and the key, others must have no access.
   *
   * @param url The URL. Without a port, 2379 is meant; without a prefix, `global-id`.
   * @throws {SyntaxError} If the URL has another form.
   * @throws {StoreError} If a file cannot be read, is open to others, or holds something else.
   */
  static async fromUrl(url: string): Promise<EtcdReservationStore> {
    const { endpoints, prefix, files } = parseEtcdUrl(url);
    const secrets = await readEtcdFiles(files);
    return new EtcdReservationStore({ endpoints, ...prefix !== undefined && { prefix }, ...secrets });
  }

  /** The cluster, and its revision as the latest answer said. */
  get history(): StoreHistory | undefined {
    return this.#history;
  }

  /**
   * Reads the record of a node.
   *
   * @returns The record; `undefined` if there never was one.
   * @throws {StoreError} If etcd does not answer or refuses.
   */
  async read(nodeId: number): Promise<string | undefined> {
    const { kvs = [] } = await this.#call("range", { key: this.#keyOf(nodeId) }) as RangeAnswer;
    return kvs.length === 0 ? undefined : decode(kvs[0].value ?? "", `${this.#nodes}${nodeId}`);
  }

  /**
   * Replaces the record of a node, if it is as expected.
   *
   * @returns Whether the record was as expected, and is replaced.
   * @throws {StoreError} If etcd does not answer or refuses; the change may be made all the same, or still be.
   */
  async compareAndSet(nodeId: number, expected: string | undefined, next: string): Promise<boolean> {
    const key = this.#keyOf(nodeId);
    const { succeeded = false, responses = [] } = await this.#call("txn", {
      compare: [
        expected === undefined
          ? { key, target: "VERSION", version: "0" }
          : { key, target: "VALUE", value: encode(expected) },
      ],
      success: [{ request_put: { key, value: encode(next) } }],
      failure: [{ request_range: { key } }],
    }) as TxnAnswer;
    if (succeeded) return true;
    // The change may have been made before, by a request that got no answer.
    const [found] = responses[0]?.response_range?.kvs ?? [];
    return found !== undefined && (found.value ?? "") === encode(next);
  }

  /**
   * Reads all records.
   *
   * @throws {StoreError} If etcd does not answer or refuses.
   */
  async list(): Promise<Map<number, string>> {
    this.#listing = await this.#updated(this.#listing) ?? EtcdListing.of(await this.#range({}), this.#readRecord);
    return this.#listing.records;
  }

  /**
   * Tells the time of the member that answered, from the `Date` of its answer, in ms since the Unix epoch. It is off by
   * half a second at most, since a `Date` has whole seconds.
   *
   * @throws {StoreError} If etcd does not answer or refuses, or tells no time.
   */
  async now(): Promise<number> {
    const { dateMs } = await this.#ask("range", { key: this.#keyOf(0), count_only: true });
    if (Number.isNaN(dateMs)) throw new StoreError("etcd's answer has no Date: is there a proxy that removes it?");
    return dateMs + HALF_SECOND_MS;
  }

  /** Closes the connections. Calls that are under way fail at once; etcd may perform them all the same. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#gateway.end(closedError());
    this.#http.close();
  }

  /** Closes the connections: see `close`. */
  [Symbol.dispose](): void {
    this.close();
  }

  #keyOf(nodeId: number): string {
    return encode(`${this.#nodes}${nodeId}`);
  }

  /** Brings a listing up to date; `undefined` if that cannot be done. */
  async #updated(listing: EtcdListing | undefined): Promise<EtcdListing | undefined> {
    const changes = listing?.changes;
    return changes && listing?.with(await this.#range(changes), this.#readRecord);
  }

  /** Reads a record of a listing; `undefined` if the key is no node's. */
  readonly #readRecord: ReadRecord = ({ key, value = "" }) => {
    const name = decode(key, "a key");
    const id = name.slice(this.#nodes.length);
    return /^(0|[1-9][0-9]*)$/.test(id) ? [Number(id), decode(value, name)] : undefined;
  };

  /** Asks for all keys that begin as those of nodes do: up to, and without, the same with the last byte raised. */
  async #range(conditions: Record<string, unknown>): Promise<RangeAnswer> {
    const keys = { key: encode(this.#nodes), range_end: encode(this.#nodes.replace(/\/$/, "0")) };
    return await this.#call("range", { ...keys, ...conditions }, "long") as RangeAnswer;
  }

  async #call(name: "range" | "txn", request: unknown, duration?: "long"): Promise<unknown> {
    return (await this.#ask(name, request, duration)).body;
  }

  async #ask(name: "range" | "txn", request: unknown, duration?: "long"): Promise<EtcdAnswer> {
    if (this.#isClosed) throw closedError();
    const askedMs = performance.now();
    const answer = await this.#gateway.call(`/v3/kv/${name}`, request, duration);
    this.#noteHistory(answer.body, askedMs);
    return answer;
  }

  /** Notes the revision, unless the answer is older than one that was noted before. */
  #noteHistory({ header: { cluster_id = "", revision = "0" } = {} }: RangeAnswer, askedMs: number): void {
    const isLater = askedMs >= this.#historyMs || Number(revision) > (this.#history?.revision ?? 0);
    if (!isLater) return;
    this.#history = { id: cluster_id, revision: Number(revision) };
    this.#historyMs = performance.now();
  }
}

/** The answer to a transaction. */
interface TxnAnswer {
  readonly succeeded?: boolean;
  readonly responses?: readonly { readonly response_range?: RangeAnswer }[];
}

function closedError(): StoreError {
  return new StoreError("the etcd store is closed");
}

function checkEndpoint(endpoint: string): string {
  if (/^https?:\/\/[^/?#@\s]+\/?$/.test(endpoint) && URL.canParse(endpoint)) return endpoint.replace(/\/$/, "");
  throw new SyntaxError(`an endpoint of etcd is http://HOST:PORT or https://HOST:PORT: got ${describe(endpoint)}`);
}

function encode(text: string): string {
  return base64.encode(new TextEncoder().encode(text));
}

/** Reads texts. A mark of byte order at the beginning of one stays, so that it can be compared. */
const DECODER = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

function decode(encoded: string, name: string): string {
  try {
    return DECODER.decode(base64.decode(encoded));
  } catch (error) {
    throw new StoreError(`etcd has no text at ${name}: another program uses this prefix`, { cause: error });
  }
}
