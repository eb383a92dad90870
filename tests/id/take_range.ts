import { IdGrant, IdRange, IdStatus } from "../../mod.ts";
import type { IdSequencer } from "../../lib/id/id_sequencer.ts";

/** Takes ids from a sequencer; throws if it has none. */
export function takeRange(sequencer: IdSequencer, count: number): IdRange {
  const grant = new IdGrant();
  const status = sequencer.tryRange(count, grant);
  if (status !== IdStatus.OK) throw new Error(`there are no ids: status ${status}`);
  return new IdRange(BigInt(grant.firstHigh) << 32n | BigInt(grant.firstLow), sequencer.step, grant.count);
}

/** How an attempt to take an id ends, and if there is none, after how many ms to try again. */
export function tryOne(sequencer: IdSequencer): [status: IdStatus, retryAfterMs: number] {
  const grant = new IdGrant();
  return [sequencer.tryRange(1, grant), grant.retryAfterMs];
}
