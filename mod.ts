/**
 * 64-bit ids that are never given out twice: sortable by time, no database round trip, no coordination between nodes.
 *
 *     | time 37 bits (seconds since 2020) | sequence 17 bits | node id 10 bits |
 *
 * {@linkcode IdGenerator} makes them, {@linkcode IdLayout} says how they are laid out and takes them apart, and
 * {@linkcode formatId} and {@linkcode parseId} are their text forms. This module runs in any JavaScript runtime.
 *
 * @example An id, and what it says
 * ```ts
 * import { DEFAULT_LAYOUT, IdGenerator } from "@global-id/global-id";
 * import { assertEquals } from "@std/assert";
 *
 * let now = Date.UTC(2030, 0, 1);
 * const ids = new IdGenerator({ nodeId: 1, clock: { now: () => now } }); // leave the clock out for the system's
 * now += 1000;
 * const id = ids.nextId();
 * assertEquals(DEFAULT_LAYOUT.timestampOf(id).getTime(), now);
 * ```
 *
 * @module
 */
export type { Clock } from "./lib/base/clock.ts";
export { ClockError, ClosedError, GlobalIdError, OutOfTimeError, RetryableError } from "./lib/base/errors.ts";
export { NotReservedError, OutOfIdsError } from "./lib/id/errors.ts";
export { IdGenerator } from "./lib/id/id_generator.ts";
export type {
  ClockPolicy,
  IdGeneratorOpenOptions,
  IdGeneratorOptions,
  IdWaitOptions,
} from "./lib/id/id_generator_options.ts";
export { IdGrant, IdStatus } from "./lib/id/id_grant.ts";
export {
  ClockJumpError,
  ClockSkewError,
  LayoutMismatchError,
  NodeHeldError,
  StoreError,
  StoreWentBackError,
} from "./lib/reservation/errors.ts";
export { MemoryReservationStore } from "./lib/reservation/stores/memory_store.ts";
export type { ReservationStore, StoreHistory } from "./lib/reservation/store.ts";
export { IdRange } from "./lib/id/id_range.ts";
export { IdLayout, type IdLayoutOptions, type IdOrder, type IdParts } from "./lib/id/layout.ts";
export {
  DEFAULT_LAYOUT,
  DENSE_LAYOUT,
  DISCORD_LAYOUT,
  INSTAGRAM_LAYOUT,
  type LayoutName,
  LAYOUTS,
  NUMBER_LAYOUT,
  SONYFLAKE_LAYOUT,
  TWITTER_LAYOUT,
  WIDE_LAYOUT,
} from "./lib/id/presets.ts";
export { shardOf } from "./lib/id/shard_of.ts";
export { formatId, type IdForm, parseId } from "./lib/id/text.ts";
