import { describe } from "../../base/check.ts";
import { answerError, connectionError, TokenError } from "./_etcd_failure.ts";
import type { CallLimits } from "./_etcd_member_call.ts";
import { EtcdMembers } from "./_etcd_members.ts";

/**
 * A call that costs etcd little. It takes some ms, or as long as the election of a leader, up to 2.5 s with etcd's
 * default settings, or some seconds when a thousand nodes call at once. If all members refuse at once, the call gives
 * up before a keeper does, after 2 s, so that the keeper's report says why.
 */
const QUICK: CallLimits = { maxRepeatMs: 1000, failingMs: 1500, silentMs: 10_000 };

/** A call that costs etcd some 16 ms of a CPU's time: a thousand at once have to wait for each other. */
const LONG: CallLimits = { maxRepeatMs: 5000, failingMs: 5000, silentMs: 60_000 };

/** How often a call may find that its token has expired: a token can expire at each member on its own. */
const MAX_TOKENS = 3;

/** A user of etcd. */
export interface EtcdCredentials {
  /** The user's name. */
  readonly user: string;
  /** The user's password. */
  readonly password: string;
}

/** An answer of etcd. */
export interface EtcdAnswer {
  /** The JSON that it sent. */
  readonly body: Record<string, unknown>;
  /** When it answered, by its clock, in ms since the Unix epoch; whole seconds. `NaN` if it does not say. */
  readonly dateMs: number;
}

/** Sends a request, as `fetch` does. */
export type Send = (url: string, init: RequestInit) => Promise<Response>;

/**
 * etcd's JSON gateway (https://etcd.io/docs/v3.5/dev-guide/api_grpc_gateway/): calls of its API by HTTP, with a token
 * where etcd asks for one.
 */
export class EtcdGateway {
  readonly #members: EtcdMembers;
  readonly #credentials: EtcdCredentials | undefined;
  readonly #send: Send;
  /** The token for the credentials, as soon as it is there. */
  #token: Promise<string> | undefined;

  /**
   * Prepares calls; nothing is sent yet.
   *
   * @param endpoints The addresses of the members, as `http://HOST:PORT`.
   * @param credentials The user; `undefined` if etcd asks for none.
   * @param send Sends a request.
   */
  constructor(endpoints: readonly string[], credentials: EtcdCredentials | undefined, send: Send) {
    this.#members = new EtcdMembers(endpoints);
    this.#credentials = credentials;
    this.#send = send;
  }

  /**
   * Calls etcd. It may perform the call several times.
   *
   * @param path The call, such as `/v3/kv/range`.
   * @param request What it is to do.
   * @param duration Whether etcd is quick with it.
   * @throws {StoreError} If no member answers in time, or etcd refuses; the message says what to do.
   */
  async call(path: string, request: unknown, duration: "quick" | "long" = "quick"): Promise<EtcdAnswer> {
    const limits = duration === "long" ? LONG : QUICK;
    for (let attempt = 1;; attempt++) {
      const token = this.#credentials && this.#currentToken(this.#credentials);
      try {
        return await this.#post(path, request, await token, limits);
      } catch (error) {
        if (token === undefined || !(error instanceof TokenError)) throw error;
        this.#forget(token);
        if (attempt === MAX_TOKENS) throw error;
      }
    }
  }

  /** Ends all calls that are under way with an error. */
  end(error: Error): void {
    this.#members.end(error);
  }

  /** The token that all calls use; a new one if there is none. */
  #currentToken(credentials: EtcdCredentials): Promise<string> {
    if (this.#token !== undefined) return this.#token;
    const token = this.#token = this.#authenticate(credentials);
    token.catch(() => this.#forget(token));
    return token;
  }

  /** Lets the next call authenticate anew, unless another one did so already. */
  #forget(token: Promise<string>): void {
    if (this.#token === token) this.#token = undefined;
  }

  /** Asks for a token. The one before must not go along: etcd refuses all requests with an expired one, even this. */
  async #authenticate({ user, password }: EtcdCredentials): Promise<string> {
    const request = { name: user, password };
    const { body } = await this.#post("/v3/auth/authenticate", request, undefined, QUICK);
    return String(body.token);
  }

  #post(path: string, request: unknown, token: string | undefined, limits: CallLimits): Promise<EtcdAnswer> {
    const headers: Record<string, string> = { "Content-Type": "application/json" };
    if (token !== undefined) headers.Authorization = token;
    const init: RequestInit = { method: "POST", headers, body: JSON.stringify(request), redirect: "manual" };
    return this.#members.ask(async (endpoint, signal) => {
      const { status, date, text } = await this.#exchange(endpoint, path, { ...init, signal });
      const body = parseObject(text);
      if (status === 200 && body !== undefined) return { body, dateMs: Date.parse(date) };
      throw answerError(endpoint, status, String(body?.message ?? body?.error ?? describe(text)));
    }, limits);
  }

  /** Sends a request, and receives the whole answer. */
  async #exchange(endpoint: string, path: string, init: RequestInit) {
    try {
      const response = await this.#send(endpoint + path, init);
      return { status: response.status, date: response.headers.get("Date") ?? "", text: await response.text() };
    } catch (error) {
      throw connectionError(endpoint, error);
    }
  }
}

/** The object that a JSON text is; `undefined` if it is something else. */
function parseObject(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? value as Record<string, unknown> : undefined;
  } catch {
    return undefined;
  }
}
