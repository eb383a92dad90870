import { type AccessCounts, COUNT, type CountName, createAccessCounts } from "../access/access_counts.ts";
import type { ServeLog } from "./serve_log.ts";

/** What is said of the datagrams of a count, behind their number. */
const DESCRIPTIONS: Partial<Record<CountName, string>> = {
  refused: "from addresses that are not allowed",
  unsigned: "not signed",
  replayed: "repeated",
  stale: "of another time",
  noRequest: "no requests",
  limited: "beyond an address's share",
  shed: "dropped unread",
  overflowed: "dropped for lack of room",
};

/**
 * From how many datagrams turned away in a second on the operator is told. A port scan, a client with the wrong key, or
 * a lost burst stays below.
 */
const BEGIN_PER_SECOND = 100;

/** Below how many in a second it is quiet. */
const QUIET_PER_SECOND = 10;

/** For how long it must be quiet until an attack is over, in ms: so there are at most 4 lines a minute. */
const QUIET_MS = 30_000;

/** Tells the operator once when many datagrams are turned away, and once when that is over. */
export class AttackReport {
  readonly #log: ServeLog;
  /** The totals of the last update, and when it was. */
  #totals: AccessCounts;
  #updatedMs: number;
  /** The attack that goes on. */
  #attack: { beganMs: number; loudMs: number; counts: AccessCounts } | undefined;

  /**
   * Makes a report.
   *
   * @param log Receives the lines.
   * @param totals The counts of all workers up to now.
   * @param nowMs The time, on a monotonic clock, in ms.
   */
  constructor(log: ServeLog, totals: AccessCounts, nowMs: number) {
    this.#log = log;
    this.#totals = totals;
    this.#updatedMs = nowMs;
  }

  /**
   * Looks at what has been turned away since the last update. To be called about once a second.
   *
   * @param totals The counts of all workers.
   * @param nowMs The time, on a monotonic clock, in ms.
   */
  update(totals: AccessCounts, nowMs: number): void {
    const counts = turnedAway(this.#totals, totals);
    const beganMs = this.#updatedMs;
    const perSecond = sumOf(counts) * 1000 / Math.max(nowMs - beganMs, 1);
    this.#totals = totals;
    this.#updatedMs = nowMs;
    const attack = this.#attack;
    if (attack === undefined) {
      if (perSecond >= BEGIN_PER_SECOND) this.#begin(counts, beganMs, nowMs);
      return;
    }
    counts.forEach((count, i) => attack.counts[i] += count);
    if (perSecond >= QUIET_PER_SECOND) attack.loudMs = nowMs;
    else if (nowMs - attack.loudMs >= QUIET_MS) this.end(totals);
  }

  /**
   * Tells that an attack is over, if there is one.
   *
   * @param totals The counts of all workers, which may have gone on since the last update.
   */
  end(totals: AccessCounts): void {
    if (this.#attack === undefined) return;
    const { beganMs, loudMs, counts } = this.#attack;
    this.#attack = undefined;
    turnedAway(this.#totals, totals).forEach((count, i) => counts[i] += count);
    this.#log.info(`in ${secondsOf(loudMs - beganMs)}, datagrams were turned away: ${describe(counts)}`);
  }

  #begin(counts: AccessCounts, beganMs: number, nowMs: number): void {
    this.#attack = { beganMs, loudMs: nowMs, counts };
    this.#log.warn(
      `datagrams are being turned away: ${describe(counts)} in ${
        secondsOf(nowMs - beganMs)
      }; the next line about them ` +
        "comes when that has ended",
    );
  }
}

/** What was turned away between two totals. What a broken worker has written to its counts must not break this. */
function turnedAway(before: AccessCounts, after: AccessCounts): AccessCounts {
  const counts = createAccessCounts();
  for (const name of Object.keys(DESCRIPTIONS) as CountName[]) {
    const i = COUNT[name];
    counts[i] = Math.max(after[i] - before[i] || 0, 0);
  }
  return counts;
}

function sumOf(counts: AccessCounts): number {
  return counts.reduce((sum, count) => sum + count);
}

/** Describes counts that are not 0. */
function describe(counts: AccessCounts): string {
  return Object.entries(DESCRIPTIONS)
    .map(([name, description]) => [counts[COUNT[name as CountName]], description] as const)
    .filter(([count]) => count > 0)
    .map(([count, description]) => `${count.toLocaleString("en-US")} ${description}`)
    .join(", ");
}

function secondsOf(ms: number): string {
  return `${Math.max(Math.round(ms / 1000), 1).toLocaleString("en-US")} s`;
}
