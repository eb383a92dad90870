import type { IdLayout } from "../id/layout.ts";
import type { Respond } from "../udp/udp_socket.ts";
import { omitErrors } from "../wire/omit_errors.ts";
import { type AccessCounts, COUNT, createAccessCounts } from "./access_counts.ts";
import { AllowList } from "./allow_list.ts";
import { createCountedResponder } from "./counted_responder.ts";
import { createLimitedResponder } from "./limited_responder.ts";
import { Mac } from "./mac.ts";
import { ReplayWindow } from "./replay_window.ts";
import { createSignedResponder } from "./signed_responder.ts";
import { SourceLimit } from "./source_limit.ts";

/** As a constant of this module, V8 compiles the index into the code. */
const { refused: REFUSED } = COUNT;

/** Who gets ids, and how many. It is plain JSON, so that a supervisor can send it to its workers. */
export interface AccessOptions {
  /** The ranges of addresses to let in: see `AllowList.parse`. Left out: all addresses. */
  allow?: readonly string[];
  /** What clients must sign their requests with. Left out: requests need no signature. */
  signing?: SigningOptions;
  /** How many ids of a tick one source may have from this worker, at least 1. Left out: all. */
  idsPerSource?: number;
}

/** What the signatures of requests are made with. */
export interface SigningOptions {
  /** The keys, one at least, as hexadecimal digits: see `createSignedResponder`. */
  keysHex: readonly string[];
  /** The name of the cluster: see `checkCluster`. */
  cluster: string;
}

/**
 * Puts guards in front of a function that answers requests. The list of addresses comes first, since it costs the
 * least; then the signature, since only genuine requests count; then the limit of the source.
 *
 * @param respond Answers requests: see `createResponder`.
 * @param options Who gets ids, and how many.
 * @param layout The layout, for the length of a tick.
 * @param counts Where to count what becomes of the datagrams.
 * @returns The function. It needs a view of at least 48 bytes.
 * @throws {SyntaxError | TypeError | RangeError} If an option is wrong.
 */
export function createGuardedResponder(
  respond: Respond,
  options: AccessOptions,
  layout: IdLayout,
  counts: AccessCounts = createAccessCounts(),
): Respond {
  const { allow, signing, idsPerSource } = options;
  respond = createCountedResponder(respond, counts);
  if (idsPerSource !== undefined) {
    const limit = new SourceLimit({ idsPerWindow: idsPerSource });
    respond = createLimitedResponder(respond, limit, layout, Date, counts);
  }
  respond = omitErrors(respond);
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
