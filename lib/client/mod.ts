/**
 * Gets ids from a global-id server over UDP.
 *
 * @example
 * ```ts no-eval
 * import { IdClient } from "@global-id/global-id/client";
 *
 * using client = new IdClient();
 * console.log(await client.nextId());
 * ```
 *
 * @module
 */
export { ClientClosedError, NoResponseError, RefusedError } from "./errors.ts";
export { IdClient, type IdClientOptions } from "./id_client.ts";
export { GlobalIdError } from "../id/errors.ts";
