import type { ReservationStore } from "../reservation/store.ts";
import type { Clock } from "../base/clock.ts";
import type { SequencePool } from "./sequence_pool.ts";
import type { IdLayout } from "./layout.ts";

/** What an {@linkcode IdGenerator} is made from. */
export interface IdGeneratorOptions {
  /** This node, 0 to the layout's `maxNodeId`. No two generators may run with the same node and subnode. */
  nodeId: number;
  /** This part of the node, 0 to `subnodeCount - 1`. Default: 0. */
  subnodeId?: number;
  /** Into how many parts the node is split. Default: 1, the whole node. */
  subnodeCount?: number;
  /**
   * Instead of a subnode and a reservation: where generators of this node that run side by side take their sequence numbers from.
   * Default: none.
   */
  sequencePool?: SequencePool;
  /** How the ids are laid out. Default: `DEFAULT_LAYOUT`. */
  layout?: IdLayout;
  /** What the time is read from. Default: the system's clock. */
  clock?: Clock;
  /** What to do while the clock is behind: see {@linkcode ClockPolicy}. Default: `"refuse"`. */
  clockPolicy?: ClockPolicy;
  /** A clock that never steps, for the policy `"logical"`; its zero may be anywhere. Default: `performance`. */
  monotonicClock?: Clock;
  /** The ticks that are reserved for this generator. Default: all after the one in which it is made (rule 5). */
  reservation?: TickRange;
}

/** What {@linkcode IdGenerator.open} is given. */
export interface IdGeneratorOpenOptions extends Omit<IdGeneratorOptions, "nodeId" | "reservation" | "sequencePool"> {
  /** Where reservations are kept. All generators of a system must share it, or have node ids that are kept apart. */
  store: ReservationStore;
  /** The node to hold; left out: any that nobody holds. */
  nodeId?: number;
  /** Takes note of what keeps the reservation from being renewed, every time that it is tried. Default: nobody does. */
  onError?: (error: unknown) => void;
}

/**
 * What to do while the clock is behind the last tick used, or behind a reservation's first tick.
 *
 * - `"refuse"`: give out no ids until it has caught up. Ids never lie in the future of a clock that is right.
 * - `"logical"`: go on in the last tick used, and once that is used up in the next, but through no more ticks than time really
 *   passes, as the monotonic clock tells. (A hybrid logical clock: Kulkarni et al., "Logical Physical Clocks", 2014.) Ids still
 *   only grow. Their time is ahead of the clock by no more than the clock stepped back: see `aheadMs`.
 */
export type ClockPolicy = "refuse" | "logical";

/** Ticks from `firstTick` to before `mark`. */
export interface TickRange {
  /** The first tick. */
  firstTick: number;
  /** The first tick that is no longer part of it. */
  mark: number;
}
