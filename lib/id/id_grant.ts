/**
 * How a call of {@linkcode IdGenerator.tryRange} ended. The numbers are those of the wire protocol's status byte.
 *
 * @example Every way that a call can end
 * ```ts
 * import { IdGenerator, IdGrant, IdStatus } from "@global-id/global-id";
 *
 * const grant = new IdGrant();
 * switch (new IdGenerator({ nodeId: 7 }).tryRange(1, grant)) {
 *   case IdStatus.OK:
 *     console.log(`${grant.count} ids`);
 *     break;
 *   case IdStatus.OUT_OF_IDS:
 *   case IdStatus.CLOCK_BEHIND:
 *   case IdStatus.NOT_RESERVED:
 *     console.log(`none for ${grant.retryAfterMs} ms`);
 *     break;
 *   case IdStatus.OUT_OF_TIME:
 *     console.log("none, ever again");
 * }
 * ```
 */
export const IdStatus = {
  /** Ids were granted. */
  OK: 0,
  /** The tick's ids are used up. */
  OUT_OF_IDS: 1,
  /** The clock is behind the last tick used, or behind the layout's epoch. */
  CLOCK_BEHIND: 2,
  /** The clock is past the last tick of the layout. */
  OUT_OF_TIME: 3,
  /** The clock's tick is not reserved (yet). */
  NOT_RESERVED: 5,
} as const;

/** One of the values of {@linkcode IdStatus}. */
export type IdStatus = typeof IdStatus[keyof typeof IdStatus];

/**
 * The answer of {@linkcode IdGenerator.tryRange}. The caller makes one grant and hands it to every call, so that a call
 * allocates nothing. For the same reason, an id is two 32-bit words in a grant.
 *
 * @example The ids of a grant
 * ```ts
 * import { IdGenerator, IdGrant } from "@global-id/global-id";
 * import { assertEquals } from "@std/assert";
 *
 * let now = Date.UTC(2030, 0, 1);
 * const ids = new IdGenerator({ nodeId: 7, clock: { now: () => now } });
 * now += 1000;
 * const grant = new IdGrant();
 * ids.tryRange(3, grant);
 * const first = BigInt(grant.firstHigh) << 32n | BigInt(grant.firstLow);
 * assertEquals(grant.count, 3); // first, first + ids.step, first + 2n * ids.step
 * assertEquals(ids.nextId(), first + 3n * ids.step);
 * ```
 */
export class IdGrant {
  /** How many ids were granted; 0 on any status but OK. */
  count = 0;
  /** The upper 32 bits of the first id. Only meaningful if `count` is not 0. */
  firstHigh = 0;
  /** The lower 32 bits of the first id. Only meaningful if `count` is not 0. */
  firstLow = 0;
  /** The tick of the ids, or the clock's tick if there are none. */
  tick = 0;
  /** If there are none: after how many ms a retry makes sense, at least 1; 0 if it never does (out of time). */
  retryAfterMs = 0;
}
