/** What a URL says of an etcd store. */
export interface EtcdUrl {
  /** The addresses of the members, as `http://HOST:PORT` or `https://HOST:PORT`. */
  readonly endpoints: readonly string[];
  /** What all keys begin with; `undefined` if the URL does not say. */
  readonly prefix: string | undefined;
  /** The files that the URL names. */
  readonly files: Readonly<Partial<Record<FileName, string>>>;
}

/** The files that a URL can name. */
type FileName = (typeof FILE_NAMES)[number];
const FILE_NAMES = ["credentials", "ca", "cert", "key"] as const;

const FORM = "etcd://HOST:PORT,HOST:PORT/PREFIX, or etcds://… with TLS, " +
  `and after a question mark files: ${FILE_NAMES.map((name) => `${name}=FILE`).join("&")}`;

/** The port on which etcd serves clients. */
const DEFAULT_PORT = 2379;

/**
 * Reads a URL of the form `etcd://HOST:PORT,HOST:PORT/PREFIX?credentials=FILE&ca=FILE&cert=FILE&key=FILE`, of which
 * only one host is needed; `etcds://` means TLS.
 *
 * @throws {SyntaxError} If it is of another form. The message does not show it: it might have a password.
 */
export function parseEtcdUrl(url: string): EtcdUrl {
  const [, scheme, hosts, prefix, query] = /^(etcds?):\/\/([^/?#]+)(?:\/([^?#]*))?(?:\?([^#]*))?$/.exec(url) ?? [];
  if (hosts === undefined) throw new SyntaxError(`the URL of an etcd store has the form ${FORM}`);
  if (hosts.includes("@")) {
    throw new SyntaxError(
      "the URL of an etcd store must not have a password, which every user of this machine could see: " +
        "put one line USER:PASSWORD into a file, and name it with ?credentials=FILE",
    );
  }
  const protocol = scheme === "etcds" ? "https" : "http";
  return {
    endpoints: hosts.split(",").map((host) =>
      `${protocol}://${/:[0-9]+$/.test(host) ? host : `${host}:${DEFAULT_PORT}`}`
    ),
    prefix: prefix || undefined,
    files: parseFiles(query ?? ""),
  };
}

function parseFiles(query: string): EtcdUrl["files"] {
  const files = Object.fromEntries(new URLSearchParams(query));
  const other = Object.keys(files).find((name) => !FILE_NAMES.includes(name as FileName));
  if (other !== undefined) throw new SyntaxError(`the URL of an etcd store knows no ${other}: its form is ${FORM}`);
  if ((files.cert === undefined) !== (files.key === undefined)) {
    throw new SyntaxError("the URL of an etcd store must name both cert and key, or neither");
  }
  return files;
}
