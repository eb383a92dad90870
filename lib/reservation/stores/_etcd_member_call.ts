import { MemberError } from "./_etcd_failure.ts";

/** After how long without an answer the next member is asked as well, in ms, if a hedge is left. */
const HEDGE_MS = 100;

/**
 * After how long the next member is asked in any case, in ms; then after twice as long each time, up to the call's
 * limit. A member passes a change on to the leader; if the leader dies on the way, only the caller can repeat it. Where
 * a thousand callers wait because the cluster is slow, each repetition makes all wait longer.
 */
const REPEAT_MS = 500;

/** How long a request is tried. */
export interface CallLimits {
  /** After how long without an answer the next member is asked at the latest, in ms. */
  readonly maxRepeatMs: number;
  /** For how long to try members of which each fails at once, in ms. */
  readonly failingMs: number;
  /** For how long to wait for a member that is silent, in ms. */
  readonly silentMs: number;
}

/** Asks one member. Throws a {@linkcode MemberError} if another member may answer, anything else if none will. */
export type AskMember<Answer> = (endpoint: string, signal: AbortSignal) => Promise<Answer>;

/** An answer, and who gave it. */
export interface MemberAnswer<Answer> {
  readonly answer: Answer;
  readonly endpoint: string;
}

/** What a {@linkcode MemberCall} works with. */
export interface MemberCallOptions<Answer> {
  /** The members, in the order in which they are to be asked. */
  readonly endpoints: readonly string[];
  /** Asks one of them. */
  readonly ask: AskMember<Answer>;
  /** Takes one of the hedges that are left, if there is one. */
  readonly takeHedge: () => boolean;
  /** How long to try. */
  readonly limits: CallLimits;
  /** Makes the error if there was no answer in time, from the last failure, if there was one. */
  readonly timeoutError: (lastFailure: Error | undefined) => Error;
}

/** One request, asked of one member after the other until one has answered. */
export class MemberCall<Answer> {
  readonly #options: MemberCallOptions<Answer>;
  readonly #ended = new AbortController();
  /** The members that need an operator. */
  readonly #broken = new Set<string>();
  #asked = 0;
  #failed = 0;
  #isHedged = false;
  #repeatMs = REPEAT_MS;
  #lastFailure: MemberError | undefined;
  #nextTimer: ReturnType<typeof setTimeout> | undefined;
  #resolve: (answer: MemberAnswer<Answer>) => void = () => {};
  #reject: (error: unknown) => void = () => {};

  /** Prepares a request. */
  constructor(options: MemberCallOptions<Answer>) {
    this.#options = options;
  }

  /** Asks until a member has answered. */
  async firstAnswer(): Promise<MemberAnswer<Answer>> {
    const { failingMs, silentMs } = this.#options.limits;
    const answer = new Promise<MemberAnswer<Answer>>((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    const failing = setTimeout(() => this.#asked === this.#failed && this.#giveUp(), failingMs);
    const silent = setTimeout(() => this.#giveUp(), silentMs);
    try {
      this.#askNext();
      return await answer;
    } finally {
      clearTimeout(failing);
      clearTimeout(silent);
      clearTimeout(this.#nextTimer);
      this.#ended.abort();
    }
  }

  /** Asks no more: the call fails with this error. */
  end(error: Error): void {
    this.#reject(error);
  }

  #askNext(): void {
    const { endpoints, ask } = this.#options;
    const endpoint = endpoints[this.#asked++ % endpoints.length];
    if (this.#isHedged) this.#repeatAfterSilence();
    else this.#hedgeAfterSilence();
    ask(endpoint, this.#ended.signal).then(
      (answer) => this.#resolve({ answer, endpoint }),
      (error) => this.#onFailure(endpoint, error),
    );
  }

  #repeatAfterSilence(): void {
    clearTimeout(this.#nextTimer);
    this.#nextTimer = setTimeout(() => {
      this.#repeatMs = Math.min(2 * this.#repeatMs, this.#options.limits.maxRepeatMs);
      this.#askNext();
    }, this.#repeatMs);
  }

  /** Asks the next member early, if a hedge is left by then. That happens once in a call. */
  #hedgeAfterSilence(): void {
    clearTimeout(this.#nextTimer);
    this.#nextTimer = setTimeout(() => {
      this.#isHedged = true;
      if (this.#options.takeHedge()) this.#askNext();
      else this.#repeatAfterSilence();
    }, HEDGE_MS);
  }

  #onFailure(endpoint: string, error: unknown): void {
    if (this.#ended.signal.aborted) return;
    if (!(error instanceof MemberError)) return this.#reject(error);
    this.#failed++;
    this.#lastFailure = error;
    if (error.isLasting) this.#broken.add(endpoint);
    const count = this.#options.endpoints.length;
    if (this.#broken.size === count) this.#reject(error);
    else if (this.#asked < count) this.#askNext();
    else this.#retry();
  }

  /** Asks the next member, although all have failed. */
  #retry(): void {
    clearTimeout(this.#nextTimer);
    this.#nextTimer = setTimeout(() => this.#askNext(), REPEAT_MS);
  }

  #giveUp(): void {
    this.#reject(this.#options.timeoutError(this.#lastFailure));
  }
}
