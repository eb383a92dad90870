import { type AttemptLog, MAX_ATTEMPTS } from "../reservation/attempt_log.ts";
import { PoolError } from "./pool_header.ts";
import { ATTEMPT_BYTES, type PoolMemory } from "./pool_memory.ts";

/** The indices of the two numbers: the first attempt noted, and the next one. */
const FIRST = 0;
const NEXT = 1;

/**
 * The attempts of a pool's holder, noted in the pool's memory: a process that goes on for a dead one, or takes over
 * from a running one, knows their attempts for its own.
 *
 * A process may be killed between any two stores. So an attempt is written to its place first, and counts from the
 * moment at which the number of the next one is raised.
 */
export class PoolAttempts implements AttemptLog {
  readonly #memory: PoolMemory;
  readonly #isDisposed: () => boolean;

  /**
   * Uses the attempts in a pool's memory.
   *
   * @param memory The memory.
   * @param isDisposed Whether the memory is unmapped.
   */
  constructor(memory: PoolMemory, isDisposed: () => boolean) {
    this.#memory = memory;
    this.#isDisposed = isDisposed;
  }

  /** Whether there is no room for a further attempt. */
  get isFull(): boolean {
    return this.#underMutex(([first, next]) => next - first >= MAX_ATTEMPTS) ?? true;
  }

  /** See {@linkcode AttemptLog.note}. */
  note(attempt: string): void {
    this.#underMutex((noted) => {
      const place = this.#placeOf(noted[NEXT]);
      place.fill(0);
      place.set(new TextEncoder().encode(attempt));
      noted[NEXT]++; // from here on, it counts
    });
  }

  /** See {@linkcode AttemptLog.has}. */
  has(attempt: string): boolean {
    return this.#underMutex((noted) => this.#find(noted, attempt) !== undefined) ?? false;
  }

  /** See {@linkcode AttemptLog.forget}. */
  forget(attempt: string): void {
    this.#underMutex((noted) => {
      const number = this.#find(noted, attempt);
      if (number !== undefined) this.#placeOf(number).fill(0);
    });
  }

  /** See {@linkcode AttemptLog.settle}. */
  settle(attempt: string): void {
    this.#underMutex((noted) => {
      const number = this.#find(noted, attempt);
      if (number !== undefined) noted[FIRST] = number;
    });
  }

  /** See {@linkcode AttemptLog.keepOnly}. */
  keepOnly(attempt: string): void {
    this.#underMutex((noted) => {
      const number = this.#find(noted, attempt) ?? noted[NEXT];
      noted[FIRST] = number;
      noted[NEXT] = Math.min(number + 1, noted[NEXT]);
    });
  }

  /** The number of an attempt that is noted. */
  #find([first, next]: Float64Array, attempt: string): number | undefined {
    if (attempt === "") return undefined; // as at the place of one that was forgotten
    for (let number = next - 1; number >= first; number--) {
      if (textOf(this.#placeOf(number)) === attempt) return number;
    }
    return undefined;
  }

  #placeOf(number: number): Uint8Array<ArrayBuffer> {
    const offset = number % MAX_ATTEMPTS * ATTEMPT_BYTES;
    return this.#memory.attempts.subarray(offset, offset + ATTEMPT_BYTES);
  }

  /**
   * Does something while no other process changes the numbers; nothing if the memory is unmapped.
   *
   * @throws {PoolError} If the numbers are none that attempts can have.
   */
  #underMutex<Result>(act: (noted: Float64Array) => Result): Result | undefined {
    if (this.#isDisposed()) return undefined;
    const { mutex, noted } = this.#memory;
    mutex.lock();
    try {
      const [first, next] = noted;
      const isSound = Number.isSafeInteger(next) && first >= 0 && first <= next && next - first <= MAX_ATTEMPTS;
      if (!isSound) throw new PoolError(`the pool is damaged: it has the attempts from ${first} to ${next}`);
      return act(noted);
    } finally {
      mutex.unlock();
    }
  }
}

/** The attempt at a place; empty if it was forgotten. */
function textOf(place: Uint8Array): string {
  const end = place.indexOf(0);
  return new TextDecoder().decode(end < 0 ? place : place.subarray(0, end));
}
