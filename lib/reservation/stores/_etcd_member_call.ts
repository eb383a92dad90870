import { MemberError } from "./_etcd_failure.ts";

/** After how long without an answer the next member is asked as well, in ms, if a hedge is left. */
const HEDGE_MS = 100;

/**
 * After how long the next member is asked in any case, in ms. A member passes a change on to the leader; if the leader
 * dies on the way, only the caller can repeat it.
 */
const REPEAT_MS = 500;

/** Asks one member. Throws a {@linkcode MemberError} if another member may answer, anything else if none will. */
export type AskMember<Answer> = (endpoint: string, signal: AbortSignal) => Promise<Answer>;

/** An answer, and who gave it. */
export interface MemberAnswer<Answer> {
  readonly answer: Answer;
  readonly endpoint: string;
}

/** One request, asked of one member after the other until one has answered. */
export class MemberCall<Answer> {
  readonly #endpoints: readonly string[];
  readonly #ask: AskMember<Answer>;
  readonly #takeHedge: () => boolean;
  readonly #ended = new AbortController();
  /** The members that need an operator. */
  readonly #broken = new Set<string>();
  #asked = 0;
  #isHedged = false;
  #lastFailure: MemberError | undefined;
  #nextTimer: ReturnType<typeof setTimeout> | undefined;
  #resolve: (answer: MemberAnswer<Answer>) => void = () => {};
  #reject: (error: unknown) => void = () => {};

  /**
   * Prepares a request.
   *
   * @param endpoints The members, in the order in which they are to be asked.
   * @param ask Asks one of them.
   * @param takeHedge Takes one of the hedges that are left, if there is one.
   */
  constructor(endpoints: readonly string[], ask: AskMember<Answer>, takeHedge: () => boolean) {
    this.#endpoints = endpoints;
    this.#ask = ask;
    this.#takeHedge = takeHedge;
  }

  /**
   * Asks until a member has answered.
   *
   * @param timeoutMs How long to try, in ms.
   * @param silence Makes the error if no member answered in time, from the last failure, if there was one.
   */
  async firstAnswer(
    timeoutMs: number,
    silence: (lastFailure: Error | undefined) => Error,
  ): Promise<MemberAnswer<Answer>> {
    const answer = new Promise<MemberAnswer<Answer>>((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    const deadline = setTimeout(() => this.#reject(silence(this.#lastFailure)), timeoutMs);
    try {
      this.#askNext();
      return await answer;
    } finally {
      clearTimeout(deadline);
      clearTimeout(this.#nextTimer);
      this.#ended.abort();
    }
  }

  #askNext(): void {
    const endpoint = this.#endpoints[this.#asked++ % this.#endpoints.length];
    clearTimeout(this.#nextTimer);
    this.#nextTimer = setTimeout(() => this.#onSilence(), this.#isHedged ? REPEAT_MS : HEDGE_MS);
    this.#ask(endpoint, this.#ended.signal).then(
      (answer) => this.#resolve({ answer, endpoint }),
      (error) => this.#onFailure(endpoint, error),
    );
  }

  /** Hedges once, if a hedge is left, or else waits for as long as for a repetition. */
  #onSilence(): void {
    if (this.#isHedged || this.#takeHedge()) {
      this.#isHedged = true;
      this.#askNext();
    } else {
      this.#isHedged = true;
      this.#nextTimer = setTimeout(() => this.#askNext(), REPEAT_MS - HEDGE_MS);
    }
  }

  #onFailure(endpoint: string, error: unknown): void {
    if (this.#ended.signal.aborted) return;
    if (!(error instanceof MemberError)) return this.#reject(error);
    this.#lastFailure = error;
    if (error.isLasting) this.#broken.add(endpoint);
    if (this.#broken.size === this.#endpoints.length) this.#reject(error);
    else if (this.#asked < this.#endpoints.length) this.#askNext();
    // Otherwise each member has been asked, and the timer asks the next one.
  }
}
