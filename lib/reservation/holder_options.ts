import type { GlobalIdError } from "../base/errors.ts";
import type { FillRandom } from "../base/unique_token.ts";
import type { AttemptLog } from "./attempt_log.ts";
import type { HolderInfo } from "./reservation.ts";
import type { ReservationStore } from "./store.ts";
import type { TickScale } from "./tick_scale.ts";

/** Options for a `ReservationHolder`. */
export interface HolderOptions {
  /** Where reservations are kept. */
  readonly store: ReservationStore;
  /** The node to hold. */
  readonly nodeId: number;
  /** The layout in whose ticks the holder reserves. */
  readonly layout: TickScale;
  /** Tells the time, in ms since the Unix epoch. */
  readonly clock: { now(): number };
  /** A clock that never steps, to time the store with, in ms; its zero may be anywhere. */
  readonly monotonicClock: { now(): number };
  /** A name that no other holder ever has, without a slash. */
  readonly name: string;
  /**
   * Where the holder notes its attempts to write the record.
   *
   * @default {new MemoryAttemptLog()}
   */
  readonly attempts?: AttemptLog;
  /**
   * Where the random bytes of an attempt come from: see `uniqueToken`.
   *
   * @default {crypto.getRandomValues}
   */
  readonly fillRandom?: FillRandom;
  /**
   * Who the holder is, for people.
   *
   * @default {{}}
   */
  readonly info?: HolderInfo;
  /**
   * Whether a claim reserves ticks past the mark although the clock is behind the mark (the policy `logical`).
   *
   * @default {false}
   */
  readonly isBehindAllowed?: boolean;
  /**
   * How far ahead of the clock the holder reserves, in ms. In a store that machines share, it is `LEAD_MS` for all.
   *
   * @default {3000}
   */
  readonly aheadMs?: number;
  /**
   * Whether a claim trusts a store that machines share never to go back, and begins at once. Then ids come twice if the
   * store is restored from a backup, or fails over to a server that lagged.
   *
   * @default {false}
   */
  readonly trustStore?: boolean;
  /**
   * Told what concerns the operator, and does not keep the holder from its work.
   *
   * @default {() => {}}
   */
  readonly warn?: (warning: GlobalIdError) => void;
  /**
   * The first tick that a claim may reserve: all ticks before it are known to be spoken for, even if the store has
   * forgotten that.
   *
   * @default {0}
   */
  readonly minTick?: number;
}
