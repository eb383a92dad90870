/**
 * Ids that are a multiple of one step apart, as those of one node are: the ids that a client has got of them, as ranges
 * from a low id to a high one, in order. Ranges that adjoin are one.
 */
export class IdSequence {
  /** The distance from one id to the next. */
  readonly step: bigint;
  /** What remains of each id when it is divided by the step. */
  readonly remainder: bigint;
  readonly #lows: bigint[] = [];
  readonly #highs: bigint[] = [];

  /** Begins without ids. */
  constructor(step: bigint, remainder: bigint) {
    this.step = step;
    this.remainder = remainder;
  }

  /** How many ranges there are. */
  get size(): number {
    return this.#lows.length;
  }

  /** Whether any id of this sequence from `low` to `high`, which are ids of it, is among those that it has. */
  has(low: bigint, high: bigint): boolean {
    const below = this.#countUpTo(high);
    return below > 0 && this.#highs[below - 1] >= low;
  }

  /** Whether any id of a sequence with another step, from `low` to `high`, is among those here. */
  meets(low: bigint, high: bigint, step: bigint): boolean {
    if ((low - this.remainder) % greatestCommonDivisor(step, this.step) !== 0n) return false;
    for (let i = this.#countUpTo(high) - 1; i >= 0 && this.#highs[i] >= low; i--) {
      const [begin, end] = [max(low, this.#lows[i]), min(high, this.#highs[i])];
      if (firstCommon(begin, low, step, this.#lows[i], this.step) <= end) return true;
    }
    return false;
  }

  /**
   * Adds the ids from `low` to `high`, none of which it has.
   *
   * @returns The highest id of the range that they are part of now, if no other range is above it.
   */
  add(low: bigint, high: bigint): bigint | undefined {
    const [lows, highs] = [this.#lows, this.#highs];
    const i = this.#countUpTo(high);
    const joinsBelow = i > 0 && highs[i - 1] + this.step === low;
    const joinsAbove = i < lows.length && high + this.step === lows[i];
    if (joinsBelow && joinsAbove) {
      highs.splice(i - 1, 1);
      lows.splice(i, 1);
    } else if (joinsBelow) highs[i - 1] = high;
    else if (joinsAbove) lows[i] = low;
    else {
      lows.splice(i, 0, low);
      highs.splice(i, 0, high);
    }
    return high === highs[highs.length - 1] ? high : undefined;
  }

  /** Adds the ids that follow the highest one, up to `high`. */
  extend(high: bigint): void {
    this.#highs[this.#highs.length - 1] = high;
  }

  /** Forgets the lower half of the ranges. */
  forgetHalf(): void {
    const count = Math.ceil(this.size / 2);
    this.#lows.splice(0, count);
    this.#highs.splice(0, count);
  }

  /** How many ranges begin at `id` or below. */
  #countUpTo(id: bigint): number {
    const lows = this.#lows;
    let [min, max] = [0, lows.length];
    if (max === 0 || id >= lows[max - 1]) return max; // as a rule: ids grow
    while (min < max) {
      const middle = (min + max) >>> 1;
      if (lows[middle] <= id) min = middle + 1;
      else max = middle;
    }
    return min;
  }
}

/**
 * The first number from `begin` on that is both `a` plus a multiple of `aStep` and `b` plus a multiple of `bStep`, by
 * the Chinese remainder theorem. There must be such numbers.
 */
function firstCommon(begin: bigint, a: bigint, aStep: bigint, b: bigint, bStep: bigint): bigint {
  const divisor = greatestCommonDivisor(aStep, bStep);
  const modulus = bStep / divisor;
  // a + n * aStep = b (mod bStep)
  const n = remainder((b - a) / divisor * inverse(aStep / divisor, modulus), modulus);
  const common = a + n * aStep;
  return begin + remainder(common - begin, aStep * modulus);
}

/** The number from 0 to `modulus - 1` whose product with `value`, which has no divisor in common with it, is 1. */
function inverse(value: bigint, modulus: bigint): bigint {
  let [rest, nextRest, factor, nextFactor] = [modulus, remainder(value, modulus), 0n, 1n];
  while (nextRest > 0n) {
    const quotient = rest / nextRest;
    [rest, nextRest] = [nextRest, rest - quotient * nextRest];
    [factor, nextFactor] = [nextFactor, factor - quotient * nextFactor];
  }
  return remainder(factor, modulus);
}

function greatestCommonDivisor(a: bigint, b: bigint): bigint {
  while (b > 0n) [a, b] = [b, a % b];
  return a;
}

/** What remains, from 0 to `modulus - 1`, of negative numbers as well. */
function remainder(value: bigint, modulus: bigint): bigint {
  return ((value % modulus) + modulus) % modulus;
}

function max(a: bigint, b: bigint): bigint {
  return a > b ? a : b;
}

function min(a: bigint, b: bigint): bigint {
  return a < b ? a : b;
}
