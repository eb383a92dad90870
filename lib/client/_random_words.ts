/** How many words are drawn at a time, so that a word costs about 3 ns and not a call of the system. */
const WORDS = 1024;

/** Random numbers of 32 bits from the system's generator for cryptography. */
export class RandomWords {
  readonly #words = new Uint32Array(WORDS);
  #used = WORDS;

  /** The next number, 0 to 2^32 - 1. */
  next(): number {
    if (this.#used === WORDS) {
      crypto.getRandomValues(this.#words);
      this.#used = 0;
    }
    return this.#words[this.#used++];
  }
}
