/**
 * Gets ids from a global-id server over UDP: see {@linkcode IdClient}.
 *
 * It runs in Deno, Node and Bun, and needs a server: `deno task serve`.
 *
 * @module
 */
export { ClosedError, GlobalIdError, RetryableError } from "./lib/base/errors.ts";
export {
  NoResponseError,
  RefusedError,
  type RefusedReason,
  RepeatedIdError,
  UnavailableError,
  type UnavailableReason,
} from "./lib/client/errors.ts";
export type { Endpoint } from "./lib/client/endpoint.ts";
export { recordedServers } from "./lib/client/recorded_servers.ts";
export type { Servers } from "./lib/client/find_servers.ts";
export { type IdCallOptions, IdClient, type IdClientOptions } from "./lib/client/id_client.ts";
