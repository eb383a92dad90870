import type { PendingRequest } from "./_pending_request.ts";
import type { FindServers } from "./find_servers.ts";
import { type Host, Server } from "./_server.ts";
import { nextInRing, type ServerChoice } from "./_server_choice.ts";
import { type Endpoint, formatEndpoint } from "./endpoint.ts";

/** How long a server has to respond at least before the next one is asked, in ms. */
const MIN_PATIENCE_MS = 15;

/** How many times as long as a server takes as a rule it has to respond. */
const PATIENCE = 3;

/** How many requests more than without hedging the client sends at most, for each request. */
const HEDGES = 0.1;

/** How many requests may be hedged in a row. */
const MAX_BUDGET = 10;

/**
 * How often at most a server is taken for silent that has not responded for as long as the patience lasts, in ms. All
 * requests to it then go to the next server, beyond the budget. On a network that loses much, a lost datagram looks
 * like a silent server.
 */
const SILENCE_INTERVAL_MS = 1000;

/** After how many times the patience a server is certainly silent, however recently another one was. */
const CERTAIN = 4;

/** How often at most the client looks after silent servers, in ms, while it is used. */
const REVIEW_INTERVAL_MS = 1000;

/** How often servers that a function finds are looked for again, in ms, while the client is used. */
const FIND_INTERVAL_MS = 30_000;

/** How much of the usual time a new sample that took longer replaces. One that took less replaces all of it. */
const SAMPLE_WEIGHT = 0.125;

/** By how many ms a server must be nearer than the one that is kept, and by how many times, to be preferred. */
const NEARER_MS = 1;
const NEARER = 2;

/** What {@linkcode NearestServer} calls. */
export interface NearestServerEvents {
  /** Opens a host. */
  open(hostname: string): Host;
  /** Finds out whether a server responds. Returns the request. */
  probe(server: Server, onFailure: () => void): object;
  /** There are other servers than before. */
  onServers(): void;
  /** The servers could not be found. */
  onFindError(error: Error): void;
}

/**
 * Several servers, of which all requests go to one: the first in the list, unless another is much nearer. The client
 * keeps it until it refuses or falls silent, even if others are as near: so ids stay in order, and a client costs one
 * server work, not all.
 *
 * A request without a response is hedged: after 15 ms or three times the usual time, whichever is more, it goes to the
 * next server as well, as long as that makes a tenth more requests at most. A server that responds to nothing for so
 * long is silent: its requests go to the next server, and so do all others, until it responds to a probe. A probe is a
 * request for one id, once a second while the client is used.
 */
export class NearestServer implements ServerChoice {
  servers: readonly Server[] = [];
  readonly #events: NearestServerEvents;
  readonly #find: FindServers | undefined;
  /** The server that new requests go to. */
  #kept: Server | undefined;
  #budget = MAX_BUDGET;
  /** When a server was last taken for silent, when to review next, and when servers were last looked for. */
  #silencedMs = -Infinity;
  #reviewMs = -Infinity;
  #foundMs = -Infinity;
  #isFinding = false;
  #closed = false;

  /**
   * Takes a list of servers, or what finds them.
   *
   * @throws {Deno.errors.NotCapable} If the program may not open a socket.
   */
  constructor(servers: readonly Endpoint[] | FindServers, events: NearestServerEvents) {
    this.#events = events;
    if (typeof servers === "function") this.#find = servers;
    else this.#use(servers);
  }

  /** See {@linkcode ServerChoice.first}. */
  first(nowMs: number): Server | undefined {
    this.#budget = Math.min(this.#budget + HEDGES, MAX_BUDGET);
    if (nowMs >= this.#reviewMs) this.#review(nowMs);
    return this.#kept;
  }

  /** See {@linkcode ServerChoice.next}. */
  next(request: PendingRequest, nowMs: number): Server | undefined {
    return nextInRing(this.servers, request, (server) => isUsable(server, nowMs));
  }

  /** See {@linkcode ServerChoice.patienceMs}. */
  patienceMs({ usualMs }: Server): number {
    if (this.servers.length < 2) return Infinity;
    return usualMs === Infinity ? MIN_PATIENCE_MS : Math.max(MIN_PATIENCE_MS, PATIENCE * usualMs);
  }

  /** See {@linkcode ServerChoice.mayHedge}. */
  mayHedge(request: PendingRequest, nowMs: number): boolean {
    const server = request.lastServer;
    if (server === undefined) return false;
    this.#checkSilence(server, nowMs);
    if (request.sentMs <= server.silentMs && server.silentMs !== Infinity) return true;
    if (this.#budget < 1) return false;
    this.#budget--;
    return true;
  }

  /** See {@linkcode ServerChoice.onSent}. */
  onSent(server: Server, request: PendingRequest, nowMs: number): void {
    if (server.unansweredMs === Infinity) server.unansweredMs = nowMs;
    if (server.sample !== undefined && nowMs - server.sampleMs < REVIEW_INTERVAL_MS) return;
    server.sample = request;
    server.sampleMs = nowMs;
  }

  /** See {@linkcode ServerChoice.onResponse}. */
  onResponse(server: Server, request: PendingRequest): void {
    server.unansweredMs = Infinity;
    if (server.sample === request) this.#measure(server);
    if (server.silentMs === Infinity && server.probe !== request) return;
    server.silentMs = Infinity;
    if (server.probe === request) server.probe = undefined;
    this.#choose(performance.now());
  }

  /** See {@linkcode ServerChoice.onRefusal}. */
  onRefusal(server: Server, retryAfterMs: number, nowMs: number): void {
    server.restsUntilMs = nowMs + retryAfterMs;
    if (server === this.#kept) this.#choose(nowMs);
  }

  /** See {@linkcode ServerChoice.close}. */
  close(): void {
    this.#closed = true;
    for (const { host } of this.servers) host.socket.close();
  }

  /** Takes a server for silent, if it has not responded to anything for too long, and another one may. */
  #checkSilence(server: Server, nowMs: number): void {
    if (server.silentMs !== Infinity) return;
    server.unansweredMs = Math.min(server.unansweredMs, nowMs); // a request that was sent before its last response
    const patienceMs = this.patienceMs(server);
    const unansweredMs = nowMs - server.unansweredMs;
    const isRare = nowMs - this.#silencedMs >= SILENCE_INTERVAL_MS;
    if (unansweredMs < (isRare ? patienceMs : CERTAIN * patienceMs)) return;
    const others = this.servers.filter((other) => other !== server);
    if (!others.some((other) => isUsable(other, nowMs))) {
      // All requests may be waiting, so that no new one lets the client look whether a silent server is back.
      for (const other of others) if (other.silentMs !== Infinity) this.#probe(other);
      return;
    }
    this.#silencedMs = nowMs;
    this.#silence(server, nowMs);
    this.#findAgain(nowMs);
    this.#probe(server);
  }

  #silence(server: Server, nowMs: number): void {
    if (server.silentMs === Infinity) server.silentMs = nowMs;
    if (server === this.#kept) this.#choose(nowMs);
  }

  /** Keeps the server that is kept, unless it has no ids or is silent, or another is much nearer. */
  #choose(nowMs: number): void {
    const usable = this.servers.filter((server) => isUsable(server, nowMs));
    const nearest = least(usable, ({ usualMs }) => usualMs);
    const kept = this.#kept;
    if (nearest === undefined) {
      const answering = this.servers.filter(({ silentMs }) => silentMs === Infinity);
      this.#kept = least(answering, ({ restsUntilMs }) => restsUntilMs) ?? kept ?? this.servers[0];
    } else if (kept === undefined || !usable.includes(kept)) {
      this.#kept = nearest;
    } else if (kept.usualMs !== Infinity && isMuchNearer(nearest, kept)) {
      this.#kept = nearest;
    }
  }

  /** Looks after the servers that are silent, and those that nothing is known of. */
  #review(nowMs: number): void {
    this.#reviewMs = nowMs + REVIEW_INTERVAL_MS;
    if (nowMs - this.#foundMs >= FIND_INTERVAL_MS || this.servers.length === 0) this.#findAgain(nowMs);
    if (this.servers.length < 2) return;
    this.#choose(nowMs);
    for (const server of this.servers) {
      if (server !== this.#kept && (server.silentMs !== Infinity || server.usualMs === Infinity)) {
        this.#probe(server);
      }
    }
  }

  #probe(server: Server): void {
    if (server.probe !== undefined) return;
    server.sample = undefined;
    server.probe = this.#events.probe(server, () => this.#silence(server, performance.now()));
  }

  #measure(server: Server): void {
    const tookMs = performance.now() - server.sampleMs;
    server.sample = undefined;
    server.usualMs = tookMs < server.usualMs ? tookMs : server.usualMs + SAMPLE_WEIGHT * (tookMs - server.usualMs);
  }

  #findAgain(nowMs: number): void {
    const find = this.#find;
    if (find === undefined || this.#isFinding || nowMs - this.#foundMs < REVIEW_INTERVAL_MS) return;
    this.#foundMs = nowMs;
    this.#isFinding = true;
    Promise.resolve().then(find).then((endpoints) => this.#use(endpoints), (error) => this.#events.onFindError(error))
      .finally(() => this.#isFinding = false);
  }

  /** Uses these servers from now on, and keeps what it knows of those that it has. An empty list changes nothing. */
  #use(endpoints: readonly Endpoint[]): void {
    if (this.#closed || endpoints.length === 0) return;
    const known = new Map(this.servers.map((server) => [server.name, server]));
    const wanted = new Map(endpoints.map((endpoint) => [formatEndpoint(endpoint), endpoint]));
    this.servers = [...wanted].map(([name, { hostname, port }]) =>
      known.get(name) ?? new Server(this.#events.open(hostname), port)
    );
    for (const [name, { host }] of known) if (!wanted.has(name)) host.socket.close();
    if (this.#kept === undefined || !this.servers.includes(this.#kept)) this.#kept = this.servers[0];
    this.#reviewMs = -Infinity;
    this.#events.onServers();
  }
}

/** Whether requests had better go to a server. */
function isUsable({ silentMs, restsUntilMs, host }: Server, nowMs: number): boolean {
  return silentMs === Infinity && restsUntilMs <= nowMs && !host.isDenied;
}

function isMuchNearer(a: Server, b: Server): boolean {
  return a.usualMs * NEARER < b.usualMs && a.usualMs + NEARER_MS < b.usualMs;
}

/** The item with the least value, the first of several; `undefined` if there is none. */
function least<Item>(items: readonly Item[], valueOf: (item: Item) => number): Item | undefined {
  return items.reduce<Item | undefined>(
    (a, b) => a === undefined || valueOf(b) < valueOf(a) ? b : a,
    undefined,
  );
}
