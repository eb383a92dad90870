/**
 * Gets ids from a global-id server over UDP.
 *
 * It needs Deno with the flag `--unstable-net`, and a server: `deno task serve`.
 *
 * @module
 */
export { ClientClosedError, NoResponseError, RefusedError } from "./errors.ts";
export { IdClient, type IdClientOptions } from "./id_client.ts";
export { GlobalIdError, RetryableError } from "../base/errors.ts";
