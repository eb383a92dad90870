import { StoreError } from "../errors.ts";
import type { ReservationStore } from "../store.ts";
import { type OpenReservations, openReservations } from "./_open_reservations.ts";
import { storeFailure } from "./_store_failure.ts";

/**
 * How long a request waits for a lock that another connection has, in ms. SQLite looks every 100 ms whether the lock is
 * gone.
 *
 * A `ReservationKeeper` makes a request every 3 s while the store does not answer: it gives up after 2 s, and pauses
 * for 1 s. So as long as a lock lasts, one request waits for its end. And requests fail as fast as they come, so that
 * none queues behind another: a holder would take the wait in the queue for a slow store.
 */
const BUSY_TIMEOUT_MS = 3000;

/**
 * How many requests may wait before the store refuses more, which bounds the queue if the disk hangs for hours. By the
 * time that the thread performs such requests, their callers have given up. That does no harm: the thread makes the
 * first change that still finds what it expects, as if its reply had got lost. The changes behind that one expected the
 * same record, and change nothing.
 */
const MAX_PENDING = 100;

/** The id of the answer that the thread gives unasked, once it has opened the database or failed to. */
const OPEN_ID = 0;

/** A request to the thread. */
interface StoreRequest {
  readonly id: number;
  readonly name: keyof OpenReservations;
  readonly args: readonly unknown[];
}

/** The answer to a request: a value, or a message if the request failed. */
interface StoreAnswer {
  readonly id: number;
  readonly value?: unknown;
  readonly error?: string;
}

/**
 * The database of {@linkcode SqliteReservationStore} in a thread of its own, so that neither a lock nor a slow disk
 * holds up the event loop. The server uses it. It needs Deno.
 *
 * The thread performs requests one after the other, in the order in which they were made. It may have performed an
 * unanswered request, or may still do so. The thread keeps the process alive until the store is closed.
 */
export class SqliteThreadStore implements ReservationStore, AsyncDisposable {
  /** No other machine uses the store. */
  readonly isLocal = true;

  readonly #path: string;
  readonly #thread: Worker;
  readonly #pending = new Map<number, PromiseWithResolvers<unknown>>();
  readonly #opened: Promise<unknown>;
  #lastId = 0;
  /** Why there are no more answers. */
  #end: StoreError | undefined;

  private constructor(path: string, busyTimeoutMs: number) {
    this.#path = path;
    // A thread from a module file would need the permission to read that file and all its imports; source text needs
    // none.
    const source = `import { DatabaseSync } from "node:sqlite";
      const open = () => (${openReservations})(DatabaseSync, ${JSON.stringify(path)}, ${busyTimeoutMs});
      (${serveReservations})(self, open);`;
    this.#thread = new Worker(`data:text/javascript,${encodeURIComponent(source)}`, { type: "module" });
    this.#thread.onmessage = ({ data }: MessageEvent<StoreAnswer>) => this.#settle(data);
    this.#thread.onerror = (event) => {
      event.preventDefault(); // Or else it would end the process.
      this.#endWith(`has lost its thread: ${event.message}`);
    };
    this.#opened = this.#expect(OPEN_ID);
  }

  /**
   * Opens a database, and makes it if it is not there.
   *
   * @param path The file, in a directory that exists.
   * @param busyTimeoutMs How long a request waits for a lock that another connection has, in ms.
   * @throws {StoreError} If the file cannot be opened or written, is damaged, or is of a later version; the message
   * names the file and the reason.
   */
  static async open(path: string, busyTimeoutMs: number = BUSY_TIMEOUT_MS): Promise<SqliteThreadStore> {
    const store = new SqliteThreadStore(path, busyTimeoutMs);
    try {
      await store.#opened;
      return store;
    } catch (error) {
      store.#endWith("is not open");
      throw error;
    }
  }

  /** Reads the record of a node; `undefined` if there never was one. */
  async read(nodeId: number): Promise<string | undefined> {
    return await this.#request("read", nodeId);
  }

  /**
   * Replaces the record of a node, if it is as expected, waits until the change is on the disk, and tells whether it
   * did.
   */
  async compareAndSet(nodeId: number, expected: string | undefined, next: string): Promise<boolean> {
    return await this.#request("compareAndSet", nodeId, expected, next);
  }

  /** Reads all records. */
  async list(): Promise<ReadonlyMap<number, string>> {
    return await this.#request("list");
  }

  /**
   * Closes the database, and ends the thread. Unanswered requests fail at once. The thread then ends as soon as it is
   * done with its present request; the process waits for the thread, unless it ends with `Deno.exit`.
   */
  async close(): Promise<void> {
    const isIdle = this.#end === undefined && this.#pending.size === 0;
    if (isIdle) await this.#request("close").catch(() => {}); // All is on the disk, so a failure does no harm.
    this.#endWith("is closed");
  }

  /** Closes the database, and ends the thread: see `close`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #request<Name extends keyof OpenReservations>(
    name: Name,
    ...args: Parameters<OpenReservations[Name]>
  ): Promise<ReturnType<OpenReservations[Name]>> {
    if (this.#end !== undefined) throw this.#end;
    if (this.#pending.size >= MAX_PENDING) {
      throw new StoreError(`the reservation store ${this.#path} has not answered ${MAX_PENDING} requests yet`);
    }
    const id = ++this.#lastId;
    this.#thread.postMessage({ id, name, args } satisfies StoreRequest);
    return await this.#expect(id) as ReturnType<OpenReservations[Name]>;
  }

  #expect(id: number): Promise<unknown> {
    const answer = Promise.withResolvers<unknown>();
    this.#pending.set(id, answer);
    return answer.promise;
  }

  #settle({ id, value, error }: StoreAnswer): void {
    const answer = this.#pending.get(id);
    this.#pending.delete(id);
    if (error === undefined) answer?.resolve(value);
    else answer?.reject(storeFailure(this.#path, id === OPEN_ID ? "cannot be used" : "failed", error));
  }

  /** Ends the thread, and fails all requests, those to come as well. */
  #endWith(reason: string): void {
    this.#end ??= new StoreError(`the reservation store ${this.#path} ${reason}`);
    this.#thread.terminate();
    for (const answer of this.#pending.values()) answer.reject(this.#end);
    this.#pending.clear();
  }
}

/** Runs in the thread. It refers to nothing outside of itself, since the thread gets it as source text. */
function serveReservations(thread: Pick<Worker, "postMessage" | "onmessage">, open: () => OpenReservations): void {
  const answer = (id: number, act: () => unknown) => {
    try {
      thread.postMessage({ id, value: act() } satisfies StoreAnswer);
    } catch (error) {
      thread.postMessage({ id, error: (error as Error).message } satisfies StoreAnswer);
    }
  };
  let reservations: OpenReservations;
  answer(0, () => void (reservations = open())); // OPEN_ID
  thread.onmessage = ({ data: { id, name, args } }: MessageEvent<StoreRequest>) => {
    answer(id, () => (reservations[name] as (...args: readonly unknown[]) => unknown)(...args));
  };
}
