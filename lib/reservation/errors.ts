import { GlobalIdError, RetryableError } from "../base/errors.ts";

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
 * Another holder has the node, or may have it: then the message says why that cannot be told.
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

/** Another holder has changed a node's record between the moment at which it was read and that of a claim. */
export class OvertakenError extends NodeHeldError {
  /** Makes the error. */
  constructor(nodeId: number) {
    super(`node ${nodeId} was taken by another holder at the same moment`);
  }
}

/**
 * The clock has jumped ahead by more than the monotonic clock confirms. A holder follows such a jump by an hour with
 * every renewal, that is, by an hour a second: a clock that is wrong for a moment does not reserve years.
 *
 * @example Told by a generator that was opened with a store
 * ```ts
 * import { ClockJumpError, IdGenerator, MemoryReservationStore } from "@global-id/global-id";
 *
 * await using ids = await IdGenerator.open({
 *   store: new MemoryReservationStore(),
 *   onError: (error) => {
 *     if (error instanceof ClockJumpError) console.warn(`the clock is ahead by ${error.jumpMs} ms`);
 *   },
 * });
 * ```
 */
export class ClockJumpError extends RetryableError {
  /** The name of the class. */
  override name = "ClockJumpError";

  /** How far the clock is ahead of the time that the holder has followed it to, in ms. */
  readonly jumpMs: number;
  /** How long the holder takes to follow, in whole ms, if the clock stays there. */
  readonly retryAfterMs: number;

  /**
   * Makes the error.
   *
   * @param jumpMs How far the clock is ahead of the time that the holder has followed it to, in ms.
   * @param retryAfterMs How long the holder takes to follow, in whole ms, if the clock stays there.
   */
  constructor(jumpMs: number, retryAfterMs: number) {
    super(
      `the clock has jumped ahead by ${Math.ceil(jumpMs / 1000)} s, which the monotonic clock does not confirm: ` +
        `put the clock right, or wait ${Math.ceil(retryAfterMs / 1000)} s for ids of its time`,
    );
    this.jumpMs = jumpMs;
    this.retryAfterMs = retryAfterMs;
  }
}

/**
 * The machine's clock and the time of a store that machines share are too far apart. Such a machine gets no node: its
 * ids would tell a wrong time, and a clock that is ahead would use up one node after the other.
 *
 * @example A machine that is a minute ahead
 * ```ts
 * import { ClockSkewError, IdGenerator, MemoryReservationStore } from "@global-id/global-id";
 * import { assertRejects } from "@std/assert";
 *
 * class SharedStore extends MemoryReservationStore {
 *   override readonly isLocal = false;
 *   now = () => Promise.resolve(Date.now() - 60_000);
 * }
 * await assertRejects(() => IdGenerator.open({ store: new SharedStore() }), ClockSkewError, "60.0 s ahead");
 * ```
 */
export class ClockSkewError extends GlobalIdError {
  /** The name of the class. */
  override name = "ClockSkewError";

  /** How far the clock is ahead of the store's time, in ms; negative if it is behind. */
  readonly skewMs: number;

  /**
   * Makes the error.
   *
   * @param skewMs How far the clock is ahead of the store's time, in ms; negative if it is behind.
   * @param allowedMs How far apart they may be, in ms.
   */
  constructor(skewMs: number, allowedMs: number) {
    const seconds = (Math.abs(skewMs) / 1000).toFixed(1);
    super(
      `the clock is ${seconds} s ${skewMs > 0 ? "ahead of" : "behind"} the reservation store's, and ` +
        `${allowedMs / 1000} s are allowed: put the one right that is wrong, best with NTP on both machines`,
    );
    this.skewMs = skewMs;
  }
}

/**
 * The store has gone back: it was restored from a backup, has failed over to a server that lagged, or somebody deleted
 * a record. The holder goes on: it has written its record again, if that was missing. No id comes twice.
 *
 * @example Told by a generator that was opened with a store
 * ```ts
 * import { IdGenerator, MemoryReservationStore, StoreWentBackError } from "@global-id/global-id";
 *
 * await using ids = await IdGenerator.open({
 *   store: new MemoryReservationStore(),
 *   onError: (error) => {
 *     if (error instanceof StoreWentBackError) console.warn(error.message);
 *   },
 * });
 * ```
 */
export class StoreWentBackError extends GlobalIdError {
  /** The name of the class. */
  override name = "StoreWentBackError";
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

  /** The node. */
  readonly nodeId: number;
  /** The layout on record. */
  readonly recorded: string;
  /** The key of the layout that the caller asked for. */
  readonly asked: string;

  /**
   * Makes the error.
   *
   * @param nodeId The node.
   * @param recorded The layout on record.
   * @param asked The key of the layout that the caller asked for.
   */
  constructor(nodeId: number, recorded: string, asked: string) {
    super(
      `node ${nodeId} is on record with the layout ${recorded}, and was asked for with ${asked}: ` +
        "their ids are not kept apart, so take that layout, another node id, or another store",
    );
    this.nodeId = nodeId;
    this.recorded = recorded;
    this.asked = asked;
  }
}
