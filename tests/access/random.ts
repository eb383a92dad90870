/** Numbers that look random and are the same in every run (mulberry32), as 32 bits. */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed;
  }

  word(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let word = Math.imul(this.#state ^ this.#state >>> 15, 1 | this.#state);
    word = word + Math.imul(word ^ word >>> 7, 61 | word) ^ word;
    return (word ^ word >>> 14) >>> 0;
  }

  /** An integer from 0 to `end - 1`. */
  below(end: number): number {
    return this.word() % end;
  }

  bytes(length: number): Uint8Array<ArrayBuffer> {
    return Uint8Array.from({ length }, () => this.word() >>> 24);
  }
}
