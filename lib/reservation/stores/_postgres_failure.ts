import { messageOf } from "../../base/message_of.ts";
import { StoreError } from "../errors.ts";

/**
 * A code of PostgreSQL's (https://www.postgresql.org/docs/current/errcodes-appendix.html). Each has a digit; EPIPE has
 * none.
 */
const SQLSTATE = /^(?=.*[0-9])[0-9A-Z]{5}$/;

/** What to do about an error. */
interface Remedy {
  /** PostgreSQL's codes that it is for, or the runtime's. */
  readonly code?: RegExp;
  /** A part of the text, with the code. */
  readonly text?: RegExp;
  readonly remedy: string;
  /** Whether the server needs an operator, so that it makes no sense to try again soon. */
  readonly isLasting?: true;
}

/** The first one that fits counts. Messages of PostgreSQL may be in any language, its codes are not. */
const REMEDIES: readonly Remedy[] = [
  { code: /^28P01$/, isLasting: true, remedy: "correct the user and the password" },
  {
    code: /^28000$/,
    text: /no encryption/,
    isLasting: true,
    remedy: "if the server asks for TLS, add sslmode=verify-full; if not, let this user in, in its pg_hba.conf",
  },
  {
    code: /^28000$/,
    isLasting: true,
    remedy: "let this user in from this address, in the server's pg_hba.conf, or name another user",
  },
  { code: /^3D000$/, isLasting: true, remedy: "make the database (createdb), or name another one" },
  { code: /^3F000$/, remedy: "make the schema (CREATE SCHEMA), or name another table" },
  { code: /^42501$/, remedy: "grant the user SELECT, INSERT and UPDATE on the table, and CONNECT on the database" },
  { text: /SASL|SCRAM/, isLasting: true, remedy: "correct the user and the password" },
  { code: /^(25006|55000)$/, remedy: "it is a standby or read-only: name the primary, or all servers" },
  { code: /^53300$/, remedy: "raise the server's max_connections (each node has one connection), or end idle ones" },
  { code: /^53100$/, remedy: "make room on the server's disk" },
  { code: /^53/, remedy: "give the server more of what it has too little of" },
  {
    code: /^55P03$/,
    remedy: "another session holds it (see pg_stat_activity), perhaps since its commit waits for a synchronous standby",
  },
  { code: /^57014$/, remedy: "somebody cancelled the statement, or it took longer than the server allows" },
  { code: /^57P/, remedy: "wait until it has started, or name further servers" },
  { text: /ENOTFOUND|EAI_AGAIN|failed to lookup/, remedy: "correct the host's name" },
  {
    text: /does not support SSL/,
    isLasting: true,
    remedy: "switch TLS on in the server (ssl = on), or leave out sslmode",
  },
  {
    text: /not valid for name|ALTNAME|altnames/,
    isLasting: true,
    remedy: "make the server a certificate with this name or address as a subjectAltName",
  },
  {
    text: /certificate.*expired|CERT_HAS_EXPIRED/i,
    isLasting: true,
    remedy: "renew the server's certificate, or set the clock",
  },
  {
    text: /UnknownIssuer|SELF_SIGNED|UNABLE_TO|certificate/i,
    isLasting: true,
    remedy: "give the certificate of the authority that signed the server's (ca)",
  },
  { text: /it is a standby/, remedy: "name the primary, or all servers" },
  { text: /^/, remedy: "see whether it runs, and listens on this address" },
];

/** No server has served a statement, but one may soon. */
export class UnservedError extends StoreError {
  override name = "UnservedError";

  /** Whether a server did not answer at all, rather than fail. */
  readonly isSilent: boolean;

  constructor(message: string, isSilent: boolean, options?: ErrorOptions) {
    super(message, options);
    this.isSilent = isSilent;
  }
}

/** A server did not answer in time. */
export class SilenceError extends StoreError {
  override name = "SilenceError";
}

/** PostgreSQL's or the system's code for an error; `""` if it has none. */
export function codeOf(error: unknown): string {
  return String((error as { code?: unknown } | null | undefined)?.code ?? "");
}

/** Whether PostgreSQL has answered: else the connection is at fault, and nobody knows what became of the statement. */
export function isAnswer(error: unknown): boolean {
  return SQLSTATE.test(codeOf(error));
}

/** Whether the server that has failed so needs an operator. */
export function needsOperator(error: unknown): boolean {
  return remedyOf(error)?.isLasting ?? false;
}

/**
 * The error for a call that failed.
 *
 * @param error What the driver threw.
 * @param where The server, if it is known.
 * @param advice What to do, in the place of the remedy that is known for the error.
 */
export function postgresFailure(
  error: unknown,
  { where = "", advice }: { where?: string; advice?: string } = {},
): StoreError {
  if (error instanceof StoreError && where === "") return error;
  const remedy = advice ?? remedyOf(error)?.remedy ?? "see the server's log";
  const name = where === "" ? "PostgreSQL" : `PostgreSQL at ${where}`;
  const verb = isAnswer(error) ? "refuses" : "does not serve";
  return new StoreError(`${name} ${verb}: ${messageOf(error) || codeOf(error)}; ${remedy}`, { cause: error });
}

function remedyOf(error: unknown): Remedy | undefined {
  const code = codeOf(error);
  const text = `${messageOf(error)} ${code}`;
  return REMEDIES.find((known) => (known.code?.test(code) ?? true) && (known.text?.test(text) ?? true));
}
