import { describe } from "../base/check.ts";
import { StoreError } from "./errors.ts";
import type { Reservation, ReservationStore } from "./store.ts";

/**
 * A store whose answers are checked before anything relies on them: a driver that returns a `bigint` column as text
 * would otherwise compare marks as texts.
 */
export class CheckedStore implements ReservationStore {
  readonly #store: ReservationStore;

  /** Checks the answers of a store. */
  constructor(store: ReservationStore) {
    this.#store = store;
  }

  /**
   * Reads the record of a node; no record may also be `null`, as drivers have it.
   *
   * @throws {StoreError} If the store returns something else than a record.
   * @throws {unknown} What the store throws.
   */
  async read(nodeId: number): Promise<Reservation | undefined> {
    const found: unknown = await this.#store.read(nodeId);
    if (found === undefined || found === null) return undefined;
    const what = `${nameOf(this.#store)}.read(${nodeId})`;
    if (typeof found !== "object") {
      throw new StoreError(`${what} must return a record or undefined: got ${describe(found)}`);
    }
    const { mark, holder, layout } = found as Record<keyof Reservation, unknown>;
    if (!Number.isSafeInteger(mark) || (mark as number) < 0) {
      throw new StoreError(
        `${what} must return a record with an integer as mark, of the type number: got ${describe(mark)}`,
      );
    }
    for (const [name, value] of Object.entries({ holder, layout })) {
      if (typeof value === "string") continue;
      throw new StoreError(`${what} must return a record with a string as ${name}: got ${describe(value)}`);
    }
    return { mark, holder, layout } as Reservation;
  }

  /**
   * Replaces the record of a node.
   *
   * @throws {StoreError} If the store returns no boolean.
   * @throws {unknown} What the store throws.
   */
  async compareAndSet(nodeId: number, expected: Reservation | undefined, next: Reservation): Promise<boolean> {
    const isMade: unknown = await this.#store.compareAndSet(nodeId, expected, next);
    if (typeof isMade === "boolean") return isMade;
    throw new StoreError(
      `${nameOf(this.#store)}.compareAndSet(${nodeId}, …) must return a boolean: got ${describe(isMade)}`,
    );
  }
}

function nameOf(store: ReservationStore): string {
  return store.constructor?.name || "the store";
}
