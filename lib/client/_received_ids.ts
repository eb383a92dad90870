import type { RangeResponse } from "../wire/response.ts";
import { IdSequence } from "./_id_sequence.ts";

/** How many ranges are remembered at most; a sequence counts as {@linkcode SEQUENCE_SIZE} more. */
const MAX_SIZE = 4096;

/** So there are at most 256 sequences: a client has one for each worker or node that it gets ids of. */
const SEQUENCE_SIZE = 16;

/**
 * The ids that a client has got, by which it notices that a server grants one again: two servers have one node id, say,
 * or a store was put back to an earlier state.
 *
 * Ranges that adjoin are remembered as one. So the memory reaches back far where one client gets most ids of a server,
 * and over some 2,000 gaps at least where others get ids in between. Of a sequence with too many ranges, the lowest
 * ones are forgotten: ids that the servers have long gone past. Every id that is remembered was received. So no range
 * is refused wrongly, in whatever order responses come and however many servers there are.
 */
export class ReceivedIds {
  /** By step and remainder, the oldest first. */
  readonly #sequences = new Map<bigint, IdSequence>();
  #ranges = 0;
  /** Whether the steps of any two sequences differ, so that they may have ids in common. */
  #isMixed = false;
  /** The sequence that grew last, and the id after its highest one, which is most likely to come next. */
  #recent = new IdSequence(0n, 0n);
  #next = -1n;

  /** How much is remembered: see {@linkcode MAX_SIZE}. */
  get size(): number {
    return this.#ranges + this.#sequences.size * SEQUENCE_SIZE;
  }

  /**
   * Adds the ids of a range.
   *
   * @returns Whether all of them are new. If not, it adds none.
   */
  add({ first, step, granted }: Pick<RangeResponse, "first" | "step" | "granted">): boolean {
    const last = granted === 1 ? first : first + step * BigInt(granted - 1);
    if (first !== this.#next || step !== this.#recent.step || this.#isMixed) {
      const sequence = this.#sequenceOf(first, step);
      const isNew = this.#addTo(sequence, first, last);
      while (this.size > MAX_SIZE) this.#forgetSome(sequence);
      return isNew;
    }
    this.#recent.extend(last);
    this.#next = last + step;
    return true;
  }

  #addTo(sequence: IdSequence, first: bigint, last: bigint): boolean {
    if (sequence.has(first, last) || this.#othersHave(sequence, first, last)) return false;
    this.#ranges -= sequence.size;
    const highest = sequence.add(first, last);
    this.#ranges += sequence.size;
    this.#recent = sequence;
    this.#next = highest === undefined ? -1n : highest + sequence.step;
    return true;
  }

  /** The sequence with these ids. A single id may come without a step: then it is one of all numbers. */
  #sequenceOf(first: bigint, step: bigint): IdSequence {
    if (step === 0n) return this.#sequenceOf(first, 1n);
    const remainder = first % step;
    const key = remainder << 64n | step;
    let sequence = this.#sequences.get(key);
    if (sequence === undefined) {
      sequence = new IdSequence(step, remainder);
      this.#sequences.set(key, sequence);
      this.#checkSteps();
    }
    return sequence;
  }

  /** Whether any id of a sequence from `first` to `last` came in one with another step. */
  #othersHave({ step }: IdSequence, first: bigint, last: bigint): boolean {
    if (!this.#isMixed) return false;
    for (const other of this.#sequences.values()) {
      if (other.step !== step && other.meets(first, last, step)) return true;
    }
    return false;
  }

  #checkSteps(): void {
    this.#isMixed = new Set([...this.#sequences.values()].map(({ step }) => step)).size > 1;
  }

  /** Forgets the lower half of a sequence that has several ranges; of one that has not, the oldest sequence. */
  #forgetSome(sequence: IdSequence): void {
    if (sequence.size > 1) {
      this.#ranges -= sequence.size;
      sequence.forgetHalf();
      this.#ranges += sequence.size;
      return;
    }
    const [[key, oldest]] = this.#sequences;
    this.#sequences.delete(key);
    this.#ranges -= oldest.size;
    this.#checkSteps();
    if (oldest === this.#recent) this.#next = -1n;
  }
}
