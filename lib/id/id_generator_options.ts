import type { Clock } from "../base/clock.ts";
import type { ReservationStore } from "../reservation/store.ts";
import type { IdLayout } from "./layout.ts";

/**
 * Options for {@linkcode IdGenerator}.
 *
 * @example The second of four processes that share node 7, with ids that fit a `number`
 * ```ts
 * import { IdGenerator, type IdGeneratorOptions, NUMBER_LAYOUT } from "@global-id/global-id";
 *
 * const options: IdGeneratorOptions = { nodeId: 7, subnodeId: 1, subnodeCount: 4, layout: NUMBER_LAYOUT };
 * const ids = new IdGenerator(options);
 * ```
 */
export interface IdGeneratorOptions {
  /** This node, 0 to the layout's `maxNodeId`. No two generators may run with the same node and subnode. */
  nodeId: number;
  /**
   * This part of the node, 0 to `subnodeCount - 1`.
   *
   * @default {0}
   */
  subnodeId?: number;
  /**
   * Into how many parts the node is split, 1 to 2^32 - 1; with 1, this generator has the whole node.
   *
   * @default {1}
   */
  subnodeCount?: number;
  /**
   * How the ids are laid out.
   *
   * @default {DEFAULT_LAYOUT}
   */
  layout?: IdLayout;
  /**
   * Tells the time. The default is the system's clock.
   *
   * @default {Date}
   */
  clock?: Clock;
  /**
   * What to do while the clock is behind: see {@linkcode ClockPolicy}.
   *
   * @default {"refuse"}
   */
  clockPolicy?: ClockPolicy;
  /**
   * A clock that never steps, for the policy `"logical"`; its zero may be anywhere.
   *
   * @default {performance}
   */
  monotonicClock?: Clock;
}

/**
 * Options for {@linkcode IdGenerator.open}. The generator holds the whole node, so there are no subnodes.
 *
 * @example A store on this machine, and a log of what goes wrong with it
 * ```ts
 * import { IdGenerator, type IdGeneratorOpenOptions } from "@global-id/global-id";
 * import { SqliteReservationStore } from "@global-id/global-id/sqlite-store";
 *
 * using store = new SqliteReservationStore(":memory:"); // in earnest, the path of a file
 * const options: IdGeneratorOpenOptions = {
 *   store,
 *   signal: AbortSignal.timeout(10_000),
 *   onError: (error) => console.error(error),
 * };
 * await using ids = await IdGenerator.open(options);
 * ```
 */
export interface IdGeneratorOpenOptions extends Omit<IdGeneratorOptions, "nodeId" | "subnodeId" | "subnodeCount"> {
  /**
   * Where reservations are kept. All generators of a system must share one store, or have node ids that are kept apart.
   */
  store: ReservationStore;
  /**
   * The node to hold. Left out, the generator holds any node that nobody else holds.
   *
   * @default {undefined}
   */
  nodeId?: number;
  /**
   * Gives up the claim of a node, which may have to wait for 6 s. The promise then rejects with the signal's reason,
   * and a node that is claimed all the same is given back. Once the generator is open, the signal has no effect.
   *
   * @default {undefined}
   */
  signal?: AbortSignal;
  /**
   * Called with the reason every time that the reservation cannot be renewed; and with a `StoreWentBackError` or a
   * `ClockSkewError` when the generator notices, and goes on.
   *
   * @default {undefined}
   */
  onError?: (error: unknown) => void;
  /**
   * Whether a store that machines share is trusted never to go back: not to a backup, nor to a server that lagged
   * before it took over. Then the first id is there with the next tick, and not after 14 s. If the store goes back all
   * the same, ids come twice. It makes no difference with a store of one machine.
   *
   * @default {false}
   */
  trustStore?: boolean;
}

/**
 * How a call of {@linkcode IdGenerator.waitForId} differs from others.
 *
 * @example A wait of 5 s at most
 * ```ts
 * import { IdGenerator, type IdWaitOptions } from "@global-id/global-id";
 *
 * const options: IdWaitOptions = { signal: AbortSignal.timeout(5000) };
 * console.log(await new IdGenerator({ nodeId: 7 }).waitForId(options));
 * ```
 */
export interface IdWaitOptions {
  /**
   * Ends the wait: the promise then rejects with the signal's reason.
   *
   * @default {undefined}
   */
  signal?: AbortSignal;
}

/**
 * What to do while the clock is behind the last tick used, or behind a reservation's first tick.
 *
 * - `"refuse"`: give out no ids until the clock has caught up. Ids never lie in the future of a clock that is right.
 * - `"logical"`: go on in the last tick used, and once that is used up in the next, but through no more ticks than time
 *   really passes, as the monotonic clock tells. (A hybrid logical clock: Kulkarni et al., "Logical Physical Clocks",
 *   2014.) Ids still only grow. Their time is ahead of the clock by no more than the clock stepped back: see `aheadMs`.
 *
 * @example Ids that go on although the clock was set back
 * ```ts
 * import { type ClockPolicy, IdGenerator } from "@global-id/global-id";
 * import { assertEquals } from "@std/assert";
 *
 * let now = Date.UTC(2030, 0, 1);
 * const clockPolicy: ClockPolicy = "logical";
 * const ids = new IdGenerator({ nodeId: 7, clock: { now: () => now }, clockPolicy });
 * now += 1000;
 * const before = ids.nextId();
 * now -= 60_000;
 * assertEquals(ids.nextId(), before + ids.step);
 * assertEquals(ids.aheadMs, 60_000);
 * ```
 */
export type ClockPolicy = "refuse" | "logical";
