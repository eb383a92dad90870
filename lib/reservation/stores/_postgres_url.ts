/** A server of PostgreSQL. */
export interface PostgresAddress {
  readonly host: string;
  readonly port: number;
}

/** What a URL says of a PostgreSQL store. */
export interface PostgresUrl {
  /** The primary, its standbys: whichever may become the primary. */
  readonly servers: readonly PostgresAddress[];
  readonly database: string;
  /** The user, if the URL names one. */
  readonly user: string | undefined;
  /** The user's password, if the URL has one. */
  readonly password: string | undefined;
  /** Whether the servers have to show a certificate. */
  readonly isTls: boolean;
  /** The table, if the URL names one. */
  readonly table: string | undefined;
  /** The files that the URL names. */
  readonly files: Readonly<Partial<Record<FileName, string>>>;
}

/** The files that a URL can name. */
type FileName = (typeof FILE_NAMES)[number];
const FILE_NAMES = ["credentials", "ca", "cert", "key"] as const;
const NAMES = [...FILE_NAMES, "sslmode", "table"];

const FORM = "postgres://USER@HOST:PORT,HOST:PORT/DATABASE, and after a question mark: " +
  "credentials=FILE (with one line USER:PASSWORD), table=NAME, sslmode=verify-full for TLS, then ca=FILE, cert=FILE, key=FILE";

/** The port on which PostgreSQL serves. */
const DEFAULT_PORT = 5432;

/**
 * Reads a URL of the form `postgres://USER:PASSWORD@HOST:PORT,HOST:PORT/DATABASE?…`, of which one host is enough.
 *
 * @throws {SyntaxError} If it is of another form. The message does not show it: it might have a password.
 */
export function parsePostgresUrl(url: string): PostgresUrl {
  const [, login, hosts, database, query] =
    /^postgres(?:ql)?:\/\/(?:([^/?#]*)@)?([^/?#@]+)\/([^/?#]+)(?:\?([^#]*))?$/.exec(url) ?? [];
  if (hosts === undefined) throw new SyntaxError(`the URL of a PostgreSQL store has the form ${FORM}`);
  const { sslmode = "disable", table, ...files } = parseQuery(query ?? "");
  if (!["disable", "verify-full"].includes(sslmode)) {
    throw new SyntaxError("the sslmode of a PostgreSQL store is disable or verify-full, which means TLS");
  }
  const isTls = sslmode === "verify-full";
  if (!isTls && (files.ca ?? files.cert ?? files.key) !== undefined) {
    throw new SyntaxError("the URL of a PostgreSQL store names certificates: it needs sslmode=verify-full then");
  }
  if ((files.cert === undefined) !== (files.key === undefined)) {
    throw new SyntaxError("the URL of a PostgreSQL store must name both cert and key, or neither");
  }
  const [, user, password] = /^([^:]*)(?::(.*))?$/s.exec(login ?? "") ?? [];
  if (!user && files.credentials === undefined) {
    throw new SyntaxError("the URL of a PostgreSQL store must name a user, or a file with ?credentials=FILE");
  }
  return {
    servers: hosts.split(",").map(parseAddress),
    database: decode(database),
    user: user ? decode(user) : undefined,
    password: password === undefined ? undefined : decode(password),
    isTls,
    table,
    files,
  };
}

function parseQuery(query: string): Partial<Record<FileName | "sslmode" | "table", string>> {
  const values = Object.fromEntries(new URLSearchParams(query));
  const other = Object.keys(values).find((name) => !NAMES.includes(name));
  if (other !== undefined) {
    throw new SyntaxError(`the URL of a PostgreSQL store knows no ${other}: its form is ${FORM}`);
  }
  return values;
}

/** Reads `HOST` or `HOST:PORT`; an address of IPv6 is in brackets. */
function parseAddress(text: string): PostgresAddress {
  const [, inBrackets, name, port = DEFAULT_PORT] =
    /^(?:\[([0-9a-fA-F:.]+)\]|([^\s:[\]]+))(?::([0-9]{1,5}))?$/.exec(text) ?? [];
  const host = inBrackets ?? name;
  if (host === undefined || Number(port) > 65_535) {
    throw new SyntaxError("a host in the URL of a PostgreSQL store is HOST or HOST:PORT, with IPv6 in [brackets]");
  }
  return { host, port: Number(port) };
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch (cause) {
    throw new SyntaxError("a % in the URL of a PostgreSQL store must begin an escape, such as %25 for itself", {
      cause,
    });
  }
}
