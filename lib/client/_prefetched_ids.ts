import { unrefTimer } from "../base/unref_timer.ts";
import type { RangeResponse } from "../wire/response.ts";
import type { PendingRequest } from "./_pending_request.ts";
import type { RangeRequester } from "./_range_requester.ts";
import type { Server } from "./_server.ts";

/** A call that waits for an id. */
export interface Waiter {
  /** When its time-out began to run, in ms on the monotonic clock. */
  readonly startMs: number;
  readonly resolve: (id: bigint) => void;
  readonly reject: (error: Error) => void;
}

/** How a client fetches ids ahead. */
export interface PrefetchOptions {
  /** How many ids to fetch at a time; more where more calls wait. */
  readonly prefetch: number;
  /** For how long to keep them, in ms. */
  readonly maxAgeMs: number;
  /** How long a call may wait, in ms. */
  readonly timeoutMs: number;
}

/** Ids that a client has fetched ahead, and the calls that wait for more. */
export class PrefetchedIds {
  readonly #requester: RangeRequester;
  readonly #prefetch: number;
  readonly #maxAgeMs: number;
  readonly #timeoutMs: number;

  /** The ids in memory: the next one, the distance to the one after it, and how many there are. */
  #next = 0n;
  #step = 0n;
  #size = 0;
  /** The server that they are from. */
  #server: Server | undefined;
  /** The calls that wait, the oldest first; while any does, there are no ids in memory. */
  #waiters: Waiter[] = [];
  /** The request for more ids that is under way. */
  #refill: PendingRequest | undefined;
  /** When the ids in memory came, in ms on the monotonic clock. */
  #receivedMs = 0;
  /** Drops the ids in memory once they are too old. One timer for many refills: to set one for each would cost time. */
  #timer: ReturnType<typeof setTimeout> | undefined;

  /**
   * Begins without ids.
   *
   * @param requester What fetches the ids.
   * @param options How it fetches and keeps ids.
   */
  constructor(requester: RangeRequester, { prefetch, maxAgeMs, timeoutMs }: PrefetchOptions) {
    this.#requester = requester;
    this.#prefetch = prefetch;
    this.#maxAgeMs = maxAgeMs;
    this.#timeoutMs = timeoutMs;
  }

  /** How many ids are in memory. */
  get size(): number {
    return this.#size;
  }

  /** Takes an id out of memory. Only while {@linkcode size} is not 0. */
  take(): bigint {
    const id = this.#next;
    this.#next += this.#step;
    this.#size--;
    return id;
  }

  /**
   * Waits for an id. Calls that wait at the same time share a refill and its error, but each has its own time-out: when
   * the oldest call's time is up, the refill goes on for the others.
   *
   * It is a property, since `IdClient` hands it on in every call.
   */
  readonly wait = (resolve: (id: bigint) => void, reject: (error: Error) => void): Waiter => {
    const waiter = { startMs: performance.now(), resolve, reject };
    this.#waiters.push(waiter);
    if (this.#refill === undefined) this.#beginRefill();
    return waiter;
  };

  /** Gives up a call that waits. The last one to be given up takes the refill with it. */
  readonly giveUp = (waiter: Waiter): void => {
    const index = this.#waiters.indexOf(waiter);
    if (index < 0) return;
    this.#waiters.splice(index, 1);
    if (this.#waiters.length > 0 || this.#refill === undefined) return;
    this.#requester.giveUp(this.#refill);
    this.#refill = undefined;
  };

  /** Drops the ids in memory if they are of another host than a server whose ids are handed out now. */
  keepOnlyOf({ host }: Server): void {
    if (this.#server?.host !== host) this.#size = 0;
  }

  /** Drops the ids in memory. */
  close(): void {
    this.#size = 0;
    clearTimeout(this.#timer);
  }

  #beginRefill(): void {
    this.#refill = this.#requester.begin(
      Math.max(this.#prefetch, this.#waiters.length),
      (response, server) => this.#onRange(response, server),
      (error) => this.#onError(error),
      this.#waiters[0].startMs,
      this.#expire,
    );
  }

  #onRange({ first, step, granted }: RangeResponse, server: Server): void {
    this.#refill = undefined;
    this.#server = server;
    [this.#next, this.#step, this.#size] = [first, step, granted];
    const served = this.#waiters.splice(0, granted);
    for (const { resolve } of served) resolve(this.take());
    if (this.#size > 0) {
      this.#receivedMs = performance.now();
      if (this.#timer === undefined) this.#checkAgeIn(this.#maxAgeMs);
    }
    if (this.#waiters.length > 0) this.#beginRefill();
  }

  /** Fails the calls whose time is up at `untilMs`. Returns when the time of the next one is up; 0 if none waits. */
  readonly #expire = (untilMs: number, error: Error): number => {
    let expired = 0;
    while (expired < this.#waiters.length && this.#deadlineOf(this.#waiters[expired]) <= untilMs) expired++;
    for (const { reject } of this.#waiters.splice(0, expired)) reject(error);
    return this.#waiters.length === 0 ? 0 : this.#deadlineOf(this.#waiters[0]);
  };

  #deadlineOf({ startMs }: Waiter): number {
    return startMs + this.#timeoutMs;
  }

  #onError(error: Error): void {
    this.#refill = undefined;
    const failed = this.#waiters;
    this.#waiters = [];
    for (const { reject } of failed) reject(error);
  }

  #checkAgeIn(ms: number): void {
    this.#timer = setTimeout(() => this.#checkAge(), ms);
    unrefTimer(this.#timer);
  }

  /** Drops the ids in memory if they are too old; else looks again when these will be. */
  #checkAge(): void {
    this.#timer = undefined;
    if (this.#size === 0) return;
    const leftMs = this.#receivedMs + this.#maxAgeMs - performance.now();
    if (leftMs > 0) this.#checkAgeIn(Math.ceil(leftMs));
    else this.#size = 0;
  }
}
