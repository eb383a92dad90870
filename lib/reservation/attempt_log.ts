/**
 * Notes a holder's attempts to write its record, so that the holder can tell its own writes from those of a copy of its
 * memory, which has the holder's name, too.
 *
 * A holder notes an attempt before it asks the store. If the reply gets lost, the holder may find the attempt on record
 * later, and knows it for its own. A copy has the attempts that were noted before it was made, and none of those after.
 *
 * A log has room for {@linkcode MAX_ATTEMPTS}. A holder that has so many without an answer reads its record, and keeps
 * the attempt on record only. If the store then makes one of the other changes after all, the holder takes it for
 * another's, and loses its node: no id comes twice.
 */
export interface AttemptLog {
  /** Whether there is no room for a further attempt. */
  readonly isFull: boolean;
  /** Notes an attempt that is about to be made: a token, see `uniqueToken`. There must be room. */
  note(attempt: string): void;
  /** Whether an attempt is noted. */
  has(attempt: string): boolean;
  /** Forgets an attempt: the store has answered that it did not make that change. */
  forget(attempt: string): void;
  /**
   * Forgets all attempts that were noted before this one, which is on record. Each of them expects a record from before
   * this one, so the store can never make it.
   */
  settle(attempt: string): void;
  /** Forgets all attempts but this one, which is on record; all, if it is not noted, since the store has gone back. */
  keepOnly(attempt: string): void;
}

/**
 * How many attempts a log has room for. The server's store has at most 100 requests waiting, and answers them in their
 * order: it can make no change that was asked for before so many others.
 */
export const MAX_ATTEMPTS = 128;

/** A log in the memory of this process. */
export class MemoryAttemptLog implements AttemptLog {
  #attempts: string[] = [];

  /** Whether there is no room for a further attempt. */
  get isFull(): boolean {
    return this.#attempts.length >= MAX_ATTEMPTS;
  }

  /** See {@linkcode AttemptLog.note}. */
  note(attempt: string): void {
    this.#attempts.push(attempt);
  }

  /** See {@linkcode AttemptLog.has}. */
  has(attempt: string): boolean {
    return this.#attempts.includes(attempt);
  }

  /** See {@linkcode AttemptLog.forget}. */
  forget(attempt: string): void {
    this.#attempts = this.#attempts.filter((noted) => noted !== attempt);
  }

  /** See {@linkcode AttemptLog.settle}. */
  settle(attempt: string): void {
    const index = this.#attempts.indexOf(attempt);
    if (index > 0) this.#attempts.splice(0, index);
  }

  /** See {@linkcode AttemptLog.keepOnly}. */
  keepOnly(attempt: string): void {
    this.#attempts = this.has(attempt) ? [attempt] : [];
  }
}
