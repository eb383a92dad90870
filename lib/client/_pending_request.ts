import type { RangeResponse } from "../wire/response.ts";
import type { Refusal } from "./_refusal.ts";
import type { Host, Server } from "./_server.ts";

/** One array for all requests, since servers refuse few of them. */
const NO_REFUSALS: readonly Refusal[] = [];

/** Gets the response that grants ids, and the server that it is from. */
export type OnRange = (response: RangeResponse, server: Server) => void;

/**
 * Fails those of a request's callers whose time is up at `untilMs`, in ms on the monotonic clock. Returns when the time
 * of the next one is up; 0 if there is none, and the request ends.
 */
export type Expire = (untilMs: number, error: Error) => number;

/** A request that waits for its response, or for the time to send it again. */
export class PendingRequest {
  /** The upper 32 bits of the tag. */
  tagHigh = 0;
  /** The lower 32 bits of the tag. */
  tagLow = 0;
  /** The servers that it was sent to, one for each transmission, and as it was sent, if it is signed. */
  servers: readonly Server[] = [];
  signed: readonly DataView[] | undefined;
  /**
   * How many of the transmissions are of earlier rounds. In a round, each server is asked once, as soon as those before
   * have refused or have not responded. The next round begins when the request is retransmitted.
   */
  earlier = 0;
  /** Whether it waits for a response. */
  isAsking = false;
  /** When it was sent last, in ms on the monotonic clock. */
  sentMs = 0;
  /** When to look after it again, in ms on the monotonic clock. */
  againMs = 0;
  /** When to retransmit it, in ms on the monotonic clock. */
  retransmitAtMs = 0;
  /** Whether the event loop was too busy for its response when it was to go to the next server. */
  isExcused = false;
  /** The refusals of this round. */
  refusals = NO_REFUSALS;
  /** How many times in a row a server called it stale. */
  stale = 0;
  /** Whether it only finds out if a server responds; its ids are not used. */
  isProbe = false;

  /** How many ids it asks for. */
  readonly count: number;
  /** When the time of its first caller is up, in ms on the monotonic clock. */
  deadlineMs: number;
  /** How long to wait for a response before it is retransmitted, in ms. */
  retransmitMs: number;
  readonly resolve: OnRange;
  readonly reject: (error: Error) => void;
  /** Fails the callers one by one, if there can be several. */
  readonly expire: Expire | undefined;

  /** Describes a request before it is sent for the first time. */
  constructor(
    count: number,
    deadlineMs: number,
    retransmitMs: number,
    resolve: OnRange,
    reject: (error: Error) => void,
    expire?: Expire,
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

  /** The server that it was sent to last. */
  get lastServer(): Server | undefined {
    return this.servers[this.servers.length - 1];
  }

  /** The server that it was sent to, by its host and port; `undefined` if it was not sent there. */
  serverAt(host: Host, port: number): Server | undefined {
    for (const server of this.servers) if (server.host === host && server.port === port) return server;
    return undefined;
  }

  /** Whether a server was asked in this round. */
  isAsked(server: Server): boolean {
    return this.servers.indexOf(server, this.earlier) >= 0;
  }

  /** Whether a server has refused in this round. */
  isRefusedBy(server: Server): boolean {
    return this.refusals.some((refusal) => refusal.server === server);
  }

  /** Whether all servers that were asked in this round have refused. */
  get isRefused(): boolean {
    return this.servers.every((server, i) => i < this.earlier || this.isRefusedBy(server));
  }

  /** Begins a round. */
  beginRound(): void {
    this.earlier = this.servers.length;
    this.refusals = NO_REFUSALS;
  }
}
