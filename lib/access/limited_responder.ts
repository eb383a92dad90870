import type { Clock } from "../base/clock.ts";
import type { IdSequencer } from "../id/id_sequencer.ts";
import type { Respond } from "../udp/udp_socket.ts";
import { grantedIds } from "../wire/granted_ids.ts";
import { omitsError } from "../wire/omits_error.ts";
import { BASIC_ERROR, BASIC_ERROR_BYTES, RANGE_BYTES, WireStatus } from "../wire/protocol.ts";
import { writeRangeError } from "../wire/range_error.ts";
import { requestedIds } from "../wire/requested_ids.ts";
import { type AccessCounts, COUNT } from "./access_counts.ts";
import type { SourceLimit } from "./source_limit.ts";

/** As a constant of this module, V8 compiles the index into the code. */
const { limited: LIMITED } = COUNT;

/** What a limit knows of the worker whose ids it limits. */
export interface LimitedWorker {
  /** Where the ids come from. */
  readonly sequencer: Pick<IdSequencer, "layout" | "lastTick">;
  /** The clock of the sequencer, which may be read once for many requests. */
  readonly clock: Clock;
  /** Reads the clock anew. */
  readonly readClock: () => void;
  /** How many ids a request gets at most: see `createResponder`. */
  readonly maxCount: number;
  /** Where to count the requests of sources without ids. */
  readonly counts: AccessCounts;
}

/**
 * Makes a function that limits the ids of each source in a tick. It cuts down requests for more ids than the source has
 * left. A source without ids gets the answer that there are none until the next tick. All other datagrams pass as they
 * are.
 *
 * While the clock is behind the ids (`--clock logical`), their tick lasts until it is used up. Then a source has its
 * ids anew with every tick of the clock.
 *
 * @param respond Answers requests: see `createResponder`.
 * @param limit The limit of each source.
 * @param worker The worker.
 * @returns The function. It needs a view of at least 32 bytes.
 */
export function createLimitedResponder(
  respond: Respond,
  limit: SourceLimit,
  { sequencer, clock, readClock, maxCount, counts }: LimitedWorker,
): Respond {
  const { epochMs, tickMs } = sequencer.layout;

  return function respondLimited(datagram, length, source) {
    // A source must not lease ids that it does not get anyway: meanwhile, others of its workers would have none.
    const count = Math.min(requestedIds(datagram, length), maxCount);
    if (count === 0) return respond(datagram, length, source);
    let tick = tickOf(clock.now());
    if (tick < limit.tick) tick = readTick(); // other workers have read their clocks later
    const allowed = limit.spend(source, count, tick);
    if (allowed === 0) return refuse(datagram, length);
    if (length === RANGE_BYTES) datagram.setUint32(4, allowed);
    const answered = respond(datagram, length, source);
    const granted = grantedIds(datagram, answered);
    const { lastTick } = sequencer;
    if (granted > 0 && lastTick > tick && readTick() >= lastTick) {
      // The tick has ended meanwhile. If other workers have spent the source's ids of the next one, these are lost.
      return limit.spend(source, granted, lastTick) === granted ? answered : refuse(datagram, length);
    }
    if (granted < allowed) limit.refund(source, allowed - granted, tick);
    return answered;
  };

  function tickOf(nowMs: number): number {
    return Math.floor((nowMs - epochMs) / tickMs);
  }

  function readTick(): number {
    readClock();
    return tickOf(clock.now());
  }

  /** Refuses a request until the next tick. */
  function refuse(datagram: DataView, length: number): number {
    counts[LIMITED]++;
    if (length === RANGE_BYTES) {
      const nowMs = clock.now();
      const waitMs = epochMs + (tickOf(nowMs) + 1) * tickMs - nowMs;
      return writeRangeError(datagram, WireStatus.OUT_OF_IDS, Math.ceil(waitMs));
    }
    if (omitsError(Math.random)) return 0;
    datagram.setUint8(0, BASIC_ERROR);
    return BASIC_ERROR_BYTES;
  }
}
