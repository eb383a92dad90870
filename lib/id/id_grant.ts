/** How a call of {@linkcode IdGenerator.tryRange} ended. The numbers are those of the wire protocol's status byte. */
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
 * Where {@linkcode IdGenerator.tryRange} writes its answer. Its user makes one and hands it to every call, so that a
 * call allocates nothing; an id is two 32-bit words in it for the same reason.
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
