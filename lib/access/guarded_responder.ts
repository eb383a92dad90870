import type { IdLayout } from "../id/layout.ts";
import type { Respond } from "../udp/udp_socket.ts";
import { AllowList } from "./allow_list.ts";
import { createLimitedResponder } from "./limited_responder.ts";
import { Mac } from "./mac.ts";
import { ReplayWindow } from "./replay_window.ts";
import { createSignedResponder } from "./signed_responder.ts";
import { SourceLimit } from "./source_limit.ts";

/** Who gets ids, and how many. As JSON, so that a supervisor can tell its workers. */
export interface AccessOptions {
  /** The ranges of addresses that are let in: see `AllowList.parse`. Left out: all. */
  allow?: readonly string[];
  /** The key that requests must be signed with, as hexadecimal digits. Left out: none is needed. */
  keyHex?: string;
  /** How many ids of a tick one source may have here, at least 1. Left out: all. */
  idsPerSource?: number;
}

/**
 * Puts the guards that are wanted in front of a function that answers requests: the list of addresses first, since it costs
 * the least; then the signature, since what a request asks for counts only if it is genuine; then the limit of its source.
 *
 * @param respond What answers requests: see `createResponder`.
 * @param options Who gets ids, and how many.
 * @param layout What a tick is.
 * @returns The function. It needs a view of at least 48 bytes.
 * @throws {SyntaxError | TypeError | RangeError} If an option is wrong.
 */
export function createGuardedResponder(respond: Respond, options: AccessOptions, layout: IdLayout): Respond {
  const { allow, keyHex, idsPerSource } = options;
  if (idsPerSource !== undefined) {
    respond = createLimitedResponder(respond, new SourceLimit({ idsPerWindow: idsPerSource }), layout);
  }
  if (keyHex !== undefined) {
    respond = createSignedResponder(respond, new Mac(Uint8Array.fromHex(keyHex)), new ReplayWindow(Date.now()));
  }
  if (allow === undefined) return respond;
  const list = AllowList.parse(allow);
  const guarded = respond;
  return (datagram, length, source) => list.allows(source) ? guarded(datagram, length, source) : 0;
}
