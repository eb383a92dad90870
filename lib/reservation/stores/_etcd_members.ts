import { StoreError } from "../errors.ts";
import { type AskMember, type CallLimits, MemberCall } from "./_etcd_member_call.ts";

/** How many requests earn a hedge: at most a tenth more requests in all, however slow the cluster is. */
const REQUESTS_PER_HEDGE = 10;

/** How many hedges can be saved up: enough for a member that stops while several calls wait for it. */
const MAX_HEDGES = 4;

/**
 * The members of an etcd cluster, each of which can serve every request. A request goes to the member that answered
 * last; if that one is silent or out of order, to the others as well, and the first answer counts.
 *
 * So the cluster may perform a request several times. A compare-and-set bears that: only the first one finds what it
 * expects.
 */
export class EtcdMembers {
  readonly #endpoints: readonly string[];
  readonly #calls = new Set<{ end(error: Error): void }>();
  #hedges = MAX_HEDGES;
  /** The member that answered last. At first a random one, so that many clients spread over the cluster. */
  #preferred: number;

  /** The members at these addresses, at least one. */
  constructor(endpoints: readonly string[]) {
    this.#endpoints = endpoints;
    this.#preferred = Math.floor(Math.random() * endpoints.length);
  }

  /**
   * Asks members until one has answered.
   *
   * @param ask Asks one member.
   * @param limits How long to try.
   * @throws {StoreError} If no member answered in time, or all need an operator.
   * @throws {unknown} What `ask` throws, if it is no `MemberError`.
   */
  async ask<Answer>(ask: AskMember<Answer>, limits: CallLimits): Promise<Answer> {
    this.#hedges = Math.min(this.#hedges + 1 / REQUESTS_PER_HEDGE, MAX_HEDGES);
    const beganMs = performance.now();
    const first = this.#preferred;
    const call = new MemberCall({
      endpoints: [...this.#endpoints.slice(first), ...this.#endpoints.slice(0, first)],
      ask,
      takeHedge: () => this.#takeHedge(),
      limits,
      timeoutError: (lastFailure) => this.#timeoutError(performance.now() - beganMs, lastFailure),
    });
    this.#calls.add(call);
    try {
      const { answer, endpoint } = await call.firstAnswer();
      this.#preferred = this.#endpoints.indexOf(endpoint);
      return answer;
    } finally {
      this.#calls.delete(call);
    }
  }

  /** Ends all calls that are under way with an error. */
  end(error: Error): void {
    for (const call of this.#calls) call.end(error);
  }

  #takeHedge(): boolean {
    if (this.#hedges < 1) return false;
    this.#hedges--;
    return true;
  }

  #timeoutError(ms: number, lastFailure: Error | undefined): StoreError {
    const last = lastFailure === undefined ? "" : `; the last failure: ${lastFailure.message}`;
    const message = `etcd at ${this.#endpoints.join(", ")} did not answer within ${Math.round(ms / 1000)} s: ` +
      `more than half of its members must run, and reach each other (see etcdctl endpoint status --cluster)${last}`;
    return new StoreError(message, lastFailure && { cause: lastFailure });
  }
}
