/**
 * What a user could pick instead of this project's server, each started and measured on this machine, if installed.
 *
 * All are asked over the loopback interface by load generators written in C, which send the next request of a
 * connection (or the next pipeline of them) when they have the answer to the one before. Which CPU a server or a load
 * generator runs on is left to the operating system: nothing is pinned.
 *
 * @module
 */
import type { Alternative } from "./alternative.ts";
import { HTTP } from "./http.ts";
import { POSTGRES } from "./postgres.ts";
import { REDIS } from "./redis.ts";

export type { Alternative, AlternativeResult } from "./alternative.ts";
export { HTTP, POSTGRES, REDIS };

/** All of them, in the order in which a table shows them. */
export const ALTERNATIVES: readonly Alternative[] = [REDIS, POSTGRES, HTTP];
