/**
 * Ids that were handed out together: `first`, `first + step`, and so on, `count` of them, in ascending order.
 *
 * @example Three ids
 * ```ts
 * import { IdRange } from "@global-id/global-id";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals([...new IdRange(100n, 10n, 3)], [100n, 110n, 120n]);
 * ```
 */
export class IdRange implements Iterable<bigint> {
  /** The first id. */
  readonly first: bigint;
  /** The distance from one id to the next. */
  readonly step: bigint;
  /** How many ids there are, at least 1. */
  readonly count: number;

  /**
   * Makes a range.
   *
   * @param first The first id.
   * @param step The distance from one id to the next.
   * @param count How many ids there are, at least 1.
   */
  constructor(first: bigint, step: bigint, count: number) {
    this.first = first;
    this.step = step;
    this.count = count;
  }

  /** The last id. */
  get last(): bigint {
    return this.first + this.step * BigInt(this.count - 1);
  }

  /** Goes through the ids in ascending order. */
  *[Symbol.iterator](): Generator<bigint, void, undefined> {
    let id = this.first;
    for (let i = 0; i < this.count; i++) {
      yield id;
      id += this.step;
    }
  }
}
