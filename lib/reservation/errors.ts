import { GlobalIdError } from "../base/errors.ts";

/**
 * A reservation store does not work, or did not answer in time. The `cause` is what the store's database said, if it
 * said anything.
 *
 * @example A file in a directory that is not there
 * ```ts
 * import { SqliteReservationStore, StoreError } from "@global-id/global-id/sqlite-store";
 * import { assertThrows } from "@std/assert";
 *
 * assertThrows(() => new SqliteReservationStore("/nowhere/reservations.sqlite"), StoreError, "cannot be used");
 * ```
 */
export class StoreError extends GlobalIdError {
  /** The name of the class. */
  override name = "StoreError";
}

/**
 * Another holder has the node.
 *
 * @example A node that a generator holds
 * ```ts
 * import { IdGenerator, MemoryReservationStore, NodeHeldError } from "@global-id/global-id";
 *
 * async function openNode(store: MemoryReservationStore, nodeId: number): Promise<IdGenerator> {
 *   try {
 *     return await IdGenerator.open({ store, nodeId });
 *   } catch (error) {
 *     if (!(error instanceof NodeHeldError)) throw error;
 *     return await IdGenerator.open({ store }); // any node that nobody holds
 *   }
 * }
 * ```
 */
export class NodeHeldError extends GlobalIdError {
  /** The name of the class. */
  override name = "NodeHeldError";
}

/**
 * The node's record was written with another layout, whose ids are not kept apart from those of this one.
 *
 * @example A store that was used with another layout
 * ```ts
 * import { IdGenerator, LayoutMismatchError, MemoryReservationStore, NUMBER_LAYOUT } from "@global-id/global-id";
 * import { assertRejects } from "@std/assert";
 *
 * const store = new MemoryReservationStore();
 * await (await IdGenerator.open({ store, nodeId: 7 })).close();
 * await assertRejects(() => IdGenerator.open({ store, nodeId: 7, layout: NUMBER_LAYOUT }), LayoutMismatchError);
 * ```
 */
export class LayoutMismatchError extends GlobalIdError {
  /** The name of the class. */
  override name = "LayoutMismatchError";

  /**
   * Makes the error.
   *
   * @param nodeId The node.
   * @param recorded The layout on record.
   * @param asked The key of the layout that the caller asked for.
   */
  constructor(readonly nodeId: number, readonly recorded: string, readonly asked: string) {
    super(
      `node ${nodeId} is on record with the layout ${recorded}, and was asked for with ${asked}: ` +
        "their ids are not kept apart, so take that layout, another node id, or another store",
    );
  }
}
