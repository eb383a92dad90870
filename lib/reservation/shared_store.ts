/**
 * The times that hold for stores which machines share, all in ms.
 *
 * Such a store may go back: to a backup, or to a standby that lagged. A holder whose latest marks are forgotten then
 * still uses the ticks below them. Whoever takes its node cannot know of these marks, but knows how high they can be:
 * every holder bounds its mark by the store's own time, and a new one begins past that bound.
 *
 *     mark of any holder     <= the store's time at that renewal + LEAD_MS + SKEW_MS
 *     first tick of a claim  >  the store's time after the claim + LEAD_MS + 2 * SKEW_MS
 *
 * The second SKEW_MS is there because the store's word may be off by a second, in each of the two cases.
 *
 * @module
 */

/** How far ahead of its clock a holder reserves. Without the store, ids go on for so long since the last renewal. */
export const LEAD_MS = 10_000;

/** How far apart a machine's clock and the store's time may be. */
export const SKEW_MS = 2000;

/** How long after a claim the first id is there, apart from a tick. */
export const SETTLE_MS = LEAD_MS + 2 * SKEW_MS;

/**
 * How long a holder waits between two renewals at most: seldom enough for a thousand nodes to share a store, and often
 * enough that {@linkcode LEAD_MS} leaves 8 s without it.
 */
export const SHARED_RENEW_MS = 1800;
