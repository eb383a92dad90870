import type { Respond } from "../udp/udp_socket.ts";
import { COUNT } from "./access_counts.ts";
import { AllowList } from "./allow_list.ts";
import { createLimitedResponder, type LimitedWorker } from "./limited_responder.ts";
import { Mac } from "./mac.ts";
import { ReplayWindow } from "./replay_window.ts";
import { createSignedResponder } from "./signed_responder.ts";
import { SourceLimit } from "./source_limit.ts";
import type { SourceTable } from "./source_table.ts";

/** As a constant of this module, V8 compiles the index into the code. */
const { refused: REFUSED } = COUNT;

/** Who gets ids, and how many. It is plain JSON, so that a supervisor can send it to its workers. */
export interface AccessOptions {
  /** The ranges of addresses to let in: see `AllowList.parse`. Left out: all addresses. */
  allow?: readonly string[];
  /** What clients must sign their requests with. Left out: requests need no signature. */
  signing?: SigningOptions;
  /** How many ids one source gets. Left out: all. */
  sourceLimit?: SourceLimitConfig;
}

/** How many ids of a tick one source gets. */
export interface SourceLimitConfig {
  /** How many from all workers of the node together, at least 1; without a pool, at least 1 from each. */
  idsPerTick: number;
  /** How many bits of an IPv6 address make a source, 32 to 64. */
  prefixBits: number;
  /** How many workers the node has. */
  workers: number;
}

/** What the signatures of requests are made with. */
export interface SigningOptions {
  /** The keys, one at least, as hexadecimal digits: see `createSignedResponder`. */
  keysHex: readonly string[];
  /** The name of the cluster: see `checkCluster`. */
  cluster: string;
}

/** What guards know of their worker. */
export interface GuardedWorker extends LimitedWorker {
  /** Where to count the ids of the sources, if they are limited. */
  readonly sources: SourceTable | undefined;
}

/**
 * Puts guards in front of a function that answers requests. The list of addresses comes first, since it costs the
 * least; then the signature, since only genuine requests count; then the limit of the source.
 *
 * @param respond Answers requests: see `createResponder`.
 * @param options Who gets ids, and how many.
 * @param worker The worker.
 * @returns The function. It needs a view of at least 48 bytes.
 * @throws {SyntaxError | TypeError | RangeError} If an option is wrong.
 */
export function createGuardedResponder(respond: Respond, options: AccessOptions, worker: GuardedWorker): Respond {
  const { allow, signing, sourceLimit } = options;
  const { counts, sources } = worker;
  if (sourceLimit !== undefined && sources !== undefined) {
    respond = createLimitedResponder(respond, new SourceLimit(sources, sourceLimit), worker);
  }
  if (signing !== undefined) {
    const macs = signing.keysHex.map((hex) => new Mac(Uint8Array.fromHex(hex), signing.cluster));
    respond = createSignedResponder(respond, macs, new ReplayWindow(Date.now()), Date, counts);
  }
  if (allow === undefined) return respond;
  const list = AllowList.parse(allow);
  const guarded = respond;
  return function respondAllowed(datagram, length, source) {
    if (list.allows(source)) return guarded(datagram, length, source);
    counts[REFUSED]++;
    return 0;
  };
}
