/**
 * All ids that were received from one node, so that none of them can be received again unnoticed.
 *
 * They are kept as ranges, ascending and apart from each other, of ids that are `step` apart. As hardly any id of a
 * tick is missing, there are few.
 */
export class IdLedger {
  /** How many ids are in it. */
  count = 0;
  #firsts = new BigUint64Array();
  /** For each range, the id that would be next. */
  #ends = new BigUint64Array();

  /** How far the node's ids are apart at least. */
  readonly step: bigint;

  /** @param step How far the node's ids are apart at least. */
  constructor(step: bigint) {
    this.step = step;
  }

  /**
   * Adds ids.
   *
   * @throws {Error} If one of them is there already, or twice among them.
   */
  addIds(ids: BigUint64Array): void {
    this.#add(ids, ids.map((id) => id + this.step), ids.length);
  }

  /**
   * Adds ranges.
   *
   * @param ranges Three words a range: its first id, the distance from one id to the next, and how many there are.
   * @throws {Error} If an id of them is there already, or twice among them, or the distance is not the node's.
   */
  addRanges(ranges: BigUint64Array): void {
    const firsts = ranges.filter((_, i) => i % 3 === 0);
    const ends = new BigUint64Array(firsts.length);
    let count = 0n;
    for (let i = 0; i < firsts.length; i++) {
      const [first, step, granted] = ranges.subarray(i * 3, i * 3 + 3);
      if (step !== this.step) throw new Error(`the ids from ${first} on are ${step} apart, not ${this.step}`);
      ends[i] = first + step * granted;
      count += granted;
    }
    this.#add(firsts, ends, Number(count));
  }

  /** All ids in it as ranges, as `addRanges` takes them. */
  ranges(): BigUint64Array<ArrayBuffer> {
    const ranges = new BigUint64Array(this.#firsts.length * 3);
    for (const [i, first] of this.#firsts.entries()) {
      ranges.set([first, this.step, (this.#ends[i] - first) / this.step], i * 3);
    }
    return ranges;
  }

  /**
   * Firsts and ends can be sorted each by themselves: ranges overlap if and only if, at some first, fewer of them have
   * ended than have begun before it.
   */
  #add(firsts: BigUint64Array, ends: BigUint64Array, count: number): void {
    const allFirsts = joined(this.#firsts, firsts).sort();
    const allEnds = joined(this.#ends, ends).sort();
    let length = 0;
    for (let i = 0; i < allFirsts.length; i++) {
      if (i > 0 && allFirsts[i] < allEnds[i - 1]) throw new Error(`an id was given out twice: ${allFirsts[i]}`);
      // The slots that are written to have all been read.
      if (i === 0 || allFirsts[i] > allEnds[i - 1]) allFirsts[length++] = allFirsts[i];
      allEnds[length - 1] = allEnds[i];
    }
    this.#firsts = allFirsts.slice(0, length);
    this.#ends = allEnds.slice(0, length);
    this.count += count;
  }
}

function joined(a: BigUint64Array, b: BigUint64Array): BigUint64Array<ArrayBuffer> {
  const both = new BigUint64Array(a.length + b.length);
  both.set(a);
  both.set(b, a.length);
  return both;
}
