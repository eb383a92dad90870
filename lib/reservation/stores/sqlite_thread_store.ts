import { StoreError } from "../errors.ts";
import type { Reservation, ReservationStore } from "../store.ts";
import { type OpenReservations, openReservations } from "./_open_reservations.ts";
import { storeFailure } from "./_store_failure.ts";

/**
 * How long a request waits for a lock that another connection has, in ms; SQLite looks every 100 ms whether it is gone.
 *
 * The thread has nothing else to do, so this need not be short. It is the time from one request of a
 * `ReservationKeeper` to its next (2 s until it gives up, 1 s of pause). So while a lock lasts, one of them always
 * waits for it to go; and they fail as fast as they come, so that none waits for those before it, which a holder would
 * take for a store that is slow.
 */
const BUSY_TIMEOUT_MS = 3000;

/**
 * How many requests may wait before more are refused: it bounds the queue if the disk hangs for hours. By the time they
 * are carried out, those who made them have given up. That does no harm: the first change that still finds what it
 * expects is made, as if its reply had got lost, and those behind it, which expected the same, change nothing.
 */
const MAX_PENDING = 100;

/** The id of the answer that the thread gives unasked, once it has opened the database or failed to. */
const OPEN_ID = 0;

/** What the thread is asked to do. */
interface StoreRequest {
  readonly id: number;
  readonly name: keyof OpenReservations;
  readonly args: readonly unknown[];
}

/** What came of a request: a message if it failed. */
interface StoreAnswer {
  readonly id: number;
  readonly value?: unknown;
  readonly error?: string;
}

/**
 * The database of {@linkcode SqliteReservationStore}, in a thread of its own: neither a lock nor a slow disk holds up
 * the event loop of who uses it. For Deno only; the server's.
 *
 * Requests are carried out one after the other, in the order in which they were made. One that was not answered may
 * have been carried out nevertheless, or may still be. The thread keeps the process alive until the store is disposed
 * of.
 */
export class SqliteThreadStore implements ReservationStore, AsyncDisposable {
  readonly #path: string;
  readonly #thread: Worker;
  readonly #pending = new Map<number, PromiseWithResolvers<unknown>>();
  readonly #opened: Promise<unknown>;
  #lastId = 0;
  /** Why there are no more answers. */
  #end: StoreError | undefined;

  private constructor(path: string, busyTimeoutMs: number) {
    this.#path = path;
    // A thread from a module file needs the permission to read that file, and all that it imports; source text does
    // not.
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
   * @throws {StoreError} If it cannot be opened or written, or is damaged; the message names the file.
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

  /** What is on record for a node. */
  async read(nodeId: number): Promise<Reservation | undefined> {
    return await this.#request("read", nodeId);
  }

  /** Replaces what is on record for a node, if it is as expected, and waits until it is on the disk. */
  async compareAndSet(nodeId: number, expected: Reservation | undefined, next: Reservation): Promise<boolean> {
    return await this.#request("compareAndSet", nodeId, expected, next);
  }

  /**
   * Closes the database, and ends the thread. Requests without an answer fail at once, and then the database is not
   * waited for: the thread ends when it is done with the one that it is at. A process that ends by itself waits for
   * that too, `Deno.exit` does not.
   */
  async close(): Promise<void> {
    const isIdle = this.#end === undefined && this.#pending.size === 0;
    if (isIdle) await this.#request("close").catch(() => {}); // All is on the disk: what is left undone is to tidy up.
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

/** What runs in the thread. It refers to nothing outside of itself, since the thread is given it as source text. */
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
