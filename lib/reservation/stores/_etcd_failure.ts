import { messageOf } from "../../base/message_of.ts";
import { StoreError } from "../errors.ts";

/** A member did not answer, or answered that it cannot serve: another member may. */
export class MemberError extends StoreError {
  override name = "MemberError";

  /** Whether only an operator can mend the member, so that it makes no sense to ask it again soon. */
  readonly isLasting: boolean;

  constructor(message: string, isLasting: boolean, options?: ErrorOptions) {
    super(message, options);
    this.isLasting = isLasting;
  }
}

/** etcd does not know the token: it has expired, or users and roles have changed since. */
export class TokenError extends StoreError {
  override name = "TokenError";
}

/** What an error of etcd's calls for. */
type Consequence =
  /** Another member may serve. */
  | "ask another"
  /** Another member may serve; this one needs an operator. */
  | "broken"
  /** A new token. */
  | "authenticate"
  /** No member will serve. */
  | "give up";

/** What to do about an error, told by a part of its text; the first one that fits counts. */
type Remedies = readonly (readonly [text: RegExp, consequence: Consequence, remedy: string])[];

/**
 * The texts that etcd has for errors (api/v3rpc/rpctypes/error.go). Their numbers tell less: 3 is a wrong password, a
 * missing user, an old token and a broken request.
 */
const ETCD_REMEDIES: Remedies = [
  [
    /database space exceeded/,
    "give up",
    "its quota is full: run etcdctl compact REVISION, etcdctl defrag and etcdctl alarm disarm, and start etcd with " +
    "--auto-compaction-retention=5m, so that it drops old revisions by itself",
  ],
  [/invalid user ID or password/, "give up", "correct USER:PASSWORD in the credentials file"],
  [
    /permission denied/,
    "give up",
    "grant the user's role readwrite on the prefix (etcdctl role grant-permission --prefix)",
  ],
  [/invalid auth token|auth store is old/, "authenticate", "try again"],
  [/authentication is not enabled/, "give up", "enable it (etcdctl auth enable), or leave the credentials out"],
  [/user name is empty/, "authenticate", "name a file with one line USER:PASSWORD as credentials"],
  [/CommonName of client/, "give up", "make a client certificate without a common name (CN)"],
  [/HTTP request to an HTTPS server/, "broken", "write etcds:// (https://) for TLS"],
  [/corrupt/, "broken", "replace the member, or restore it from a backup"],
  [/page not found/, "broken", "etcd 3.4 or later is needed, with its gateway (--enable-grpc-gateway)"],
  [/no leader|timed out|leader changed/, "ask another", "more than half of the members must run, and reach each other"],
];

/** What the runtimes say about connections: Deno in words, Node and Bun with codes. */
const CONNECTION_REMEDIES: Remedies = [
  [/Requires net access/, "give up", "grant this process the network"],
  [/fatal alert/, "broken", "give a client certificate that etcd trusts, and its key"],
  [/not valid for name|ALTNAME/, "broken", "make etcd a certificate with this name or address as a subjectAltName"],
  [/[Ee]xpired/i, "broken", "renew etcd's certificate, or set the clock"],
  [
    /UnknownIssuer|SELF_SIGNED|UNABLE_TO|[Cc]ertificate/,
    "broken",
    "give the certificate of the authority that signed it (ca)",
  ],
  [/InvalidContentType|WRONG_VERSION/, "broken", "write etcd:// (http://), since it does not speak TLS"],
];

/**
 * The error for an answer that is no success.
 *
 * @param endpoint Who answered.
 * @param status The status of HTTP.
 * @param text What etcd says, or the whole answer if it is something else.
 */
export function answerError(endpoint: string, status: number, text: string): StoreError {
  const unknown = status >= 500 ? "ask another" : "broken";
  const says = `etcd at ${endpoint} refuses: ${text.replace(/^etcdserver: /, "")}`;
  return errorOf(says, text, ETCD_REMEDIES, unknown, "is it etcd 3.4 or later?");
}

/** The error for a request that got no answer. */
export function connectionError(endpoint: string, error: unknown): StoreError {
  const { cause = error } = error as { cause?: unknown };
  const text = messageOf(cause).replace(/^error sending request .*? client error \(\w+\): /, "");
  const code = String((cause as { code?: unknown }).code ?? "");
  const says = `etcd at ${endpoint} cannot be reached: ${text}`;
  const remedy = "see whether it runs there, and whether with TLS (etcds://) or without (etcd://)";
  return errorOf(says, `${text} ${code}`, CONNECTION_REMEDIES, "ask another", remedy, { cause: error });
}

function errorOf(
  says: string,
  text: string,
  remedies: Remedies,
  otherConsequence: Consequence,
  otherRemedy: string,
  options?: ErrorOptions,
): StoreError {
  const known = remedies.find(([pattern]) => pattern.test(text));
  const [, consequence, remedy] = known ?? [undefined, otherConsequence, otherRemedy];
  const message = `${says}; ${remedy}`;
  if (consequence === "authenticate") return new TokenError(message, options);
  if (consequence === "give up") return new StoreError(message, options);
  return new MemberError(message, consequence === "broken", options);
}
