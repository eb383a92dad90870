import { checkInteger, describe } from "../base/check.ts";

/**
 * Where a server is.
 *
 * @example Two servers
 * ```ts
 * import { type Endpoint, IdClient } from "@global-id/global-id/client";
 *
 * const second: Endpoint = { hostname: "192.0.2.2", port: 9999 };
 * using client = new IdClient({ servers: ["192.0.2.1:9999", second] });
 * ```
 */
export interface Endpoint {
  /** The host: an IP address or a name. */
  readonly hostname: string;
  /** The port, 1 to 65,535. */
  readonly port: number;
}

/**
 * Reads where a server is.
 *
 * @param endpoint `host:port`, `[IPv6 address]:port`, or an object.
 * @throws {TypeError | RangeError} If it is neither, or the port is none.
 */
export function readEndpoint(endpoint: string | Endpoint): Endpoint {
  if (typeof endpoint === "string") return parseEndpoint(endpoint);
  if (typeof endpoint?.hostname !== "string" || endpoint.hostname === "") throw wrongEndpoint(endpoint);
  return { hostname: endpoint.hostname, port: checkInteger("port", endpoint.port, 1, 65_535) };
}

/** Writes where a server is, as `host:port` or `[IPv6 address]:port`. */
export function formatEndpoint({ hostname, port }: Endpoint): string {
  return hostname.includes(":") ? `[${hostname}]:${port}` : `${hostname}:${port}`;
}

function parseEndpoint(text: string): Endpoint {
  const [, v6, name, port] = /^(?:\[([^\]]+)\]|([^:[\]/\s]+)):([0-9]{1,5})$/.exec(text) ?? [];
  if (port === undefined) throw wrongEndpoint(text);
  return { hostname: v6 ?? name, port: checkInteger(`the port in ${describe(text)}`, Number(port), 1, 65_535) };
}

function wrongEndpoint(endpoint: unknown): TypeError {
  return new TypeError(
    `a server must be "host:port", "[IPv6 address]:port" or { hostname, port }: got ${describe(endpoint)}`,
  );
}
