import { describe } from "../../base/check.ts";
import { parseEtcdUrl } from "./_etcd_url.ts";

/** A store that a text names. */
export interface StoreUrl {
  /** What keeps the records. */
  readonly kind: "sqlite" | "etcd" | "postgres";
  /** Of a SQLite database, its path; else the URL. */
  readonly location: string;
  /**
   * The name under which machines share the store: etcd's prefix, without slashes at its end, or PostgreSQL's database;
   * `undefined` if the text does not say.
   */
  readonly name?: string;
}

const FORMS = "a path, sqlite:PATH, etcd://HOST:PORT,HOST:PORT/PREFIX, etcds://… or postgres://HOST:PORT/DATABASE";

/**
 * Reads the text that names a store: a path or `sqlite:PATH`, `etcd://…`, `etcds://…` or `postgres://…`.
 *
 * @throws {SyntaxError} If it names none. The message does not show more than what comes before `://`.
 */
export function parseStoreUrl(text: string): StoreUrl {
  const [, scheme] = /^([A-Za-z][A-Za-z0-9+.-]+):/.exec(text) ?? [];
  if (scheme === undefined && text !== "") return { kind: "sqlite", location: text };
  switch (scheme) {
    case "sqlite":
      if (text.length > "sqlite:".length) return { kind: "sqlite", location: text.slice("sqlite:".length) };
      break;
    case "etcd":
    case "etcds": {
      const { prefix } = parseEtcdUrl(text);
      // A prefix means the same keys with and without slashes at its end.
      const name = prefix?.replace(/(?<=.)\/+$/, "");
      return { kind: "etcd", location: text, ...name !== undefined && { name } };
    }
    case "postgres":
    case "postgresql": {
      const database = /^[^:]+:\/\/[^/?#]*\/([^?#]+)/.exec(text)?.[1];
      return { kind: "postgres", location: text, ...database !== undefined && { name: decodeURIComponent(database) } };
    }
  }
  throw new SyntaxError(`a store is ${FORMS}: got ${scheme === undefined ? describe(text) : `${scheme}:…`}`);
}
