import { describe } from "../base/check.ts";
import { messageOf } from "../base/message_of.ts";
import { StoreError } from "./errors.ts";
import { decodeReservation, encodeReservation, type Reservation } from "./reservation.ts";
import type { ReservationStore, StoreHistory } from "./store.ts";

/** A record that was found in a store. */
export interface FoundRecord {
  /** What it says. */
  readonly record: Reservation;
  /** Its text, which a change has to name. */
  readonly text: string;
}

/** Records by node id; an error in the place of one that cannot be read. */
export type Records = Map<number, FoundRecord | StoreError>;

/**
 * A store in terms of records instead of texts, whose answers are checked before anything relies on them: the
 * uniqueness of ids rests on a store, and anybody can write one.
 */
export class CheckedStore {
  readonly #store: ReservationStore;

  private constructor(store: ReservationStore) {
    this.#store = store;
  }

  /** The store, checked. */
  static of(store: ReservationStore): CheckedStore {
    return new CheckedStore(store);
  }

  /** Whether other machines may use the store. */
  get isShared(): boolean {
    return this.#store.isLocal !== true;
  }

  /** What the latest answer said about the history of the data, if the store knows. */
  get history(): StoreHistory | undefined {
    return this.#store.history;
  }

  /**
   * Reads the record of a node.
   *
   * @returns The record; `undefined` if there never was one.
   * @throws {StoreError} If the store returns something else.
   * @throws {unknown} What the store throws.
   */
  async read(nodeId: number): Promise<FoundRecord | undefined> {
    const text: unknown = await this.#store.read(nodeId);
    if (text === undefined || text === null) return undefined;
    const found = foundIn(text, `${this.#name}.read(${nodeId})`);
    if (found instanceof StoreError) throw found;
    return found;
  }

  /**
   * Replaces the record of a node.
   *
   * @returns The record as it is now; `undefined` if the present one was not as expected.
   * @throws {StoreError} If the store returns no boolean.
   * @throws {unknown} What the store throws.
   */
  async compareAndSet(
    nodeId: number,
    expected: FoundRecord | undefined,
    next: Reservation,
  ): Promise<FoundRecord | undefined> {
    const text = encodeReservation(next);
    const isMade: unknown = await this.#store.compareAndSet(nodeId, expected?.text, text);
    if (typeof isMade === "boolean") return isMade ? { record: next, text } : undefined;
    throw new StoreError(`${this.#name}.compareAndSet(${nodeId}, …) must return a boolean: got ${describe(isMade)}`);
  }

  /** Whether all records can be had at once. */
  get hasList(): boolean {
    return this.#store.list !== undefined;
  }

  /**
   * Reads all records at once.
   *
   * @param known Records from an earlier list: those that are still the same need not be decoded again.
   * @returns The records by node id; a `StoreError` in the place of one that cannot be read.
   * @throws {StoreError} If the store returns no map.
   * @throws {unknown} What the store throws.
   */
  async list(known: Records = new Map()): Promise<Records> {
    const texts: unknown = await this.#store.list?.();
    if (!(texts instanceof Map)) {
      throw new StoreError(`${this.#name}.list() must return a Map of node ids and texts: got ${describe(texts)}`);
    }
    return new Map(
      Array.from(texts, ([nodeId, text]) => {
        const before = known.get(nodeId);
        const isSame = before !== undefined && !(before instanceof StoreError) && before.text === text;
        return [nodeId, isSame ? before : foundIn(text, `${this.#name}.list(), node ${nodeId}`)];
      }),
    );
  }

  /** Whether the store tells its own time. */
  get hasTime(): boolean {
    return this.#store.now !== undefined;
  }

  /**
   * Tells the store's own time, in ms since the Unix epoch.
   *
   * @throws {StoreError} If the store returns no time.
   * @throws {unknown} What the store throws.
   */
  async now(): Promise<number> {
    const ms: unknown = await this.#store.now?.();
    if (typeof ms === "number" && Number.isFinite(ms)) return ms;
    throw new StoreError(`${this.#name}.now() must return a number of ms since 1970: got ${describe(ms)}`);
  }

  get #name(): string {
    return this.#store.constructor?.name || "the store";
  }
}

/** The record that a text is; an error if it is none. */
function foundIn(text: unknown, where: string): FoundRecord | StoreError {
  if (typeof text !== "string") {
    return new StoreError(`${where} must return the text of a record: got ${describe(text)}`);
  }
  try {
    return { record: decodeReservation(text), text };
  } catch (error) {
    return new StoreError(`${where}: ${messageOf(error)}`, { cause: error });
  }
}
