import { sleep } from "../base/sleep.ts";
import { LAYOUTS } from "../id/presets.ts";
import { CheckedStore, type FoundRecord } from "../reservation/checked_store.ts";
import { findNodes } from "../reservation/find_nodes.ts";
import type { ReservationStore } from "../reservation/store.ts";
import { ServeError } from "./serve_error.ts";
import type { ServeOptions } from "./serve_options.ts";
import { nodesIn } from "./state_dir.ts";

/**
 * Returns the node of a host by the number at the end of its name, such as 3 for `ids-3`: Kubernetes numbers the pods
 * of a StatefulSet like that.
 *
 * @param options The options of the server.
 * @param hostname The name of this host.
 * @throws {ServeError} If the name ends with no number, or there is no node of that number.
 */
export function ordinalNode({ nodeIdBase, layout }: ServeOptions, hostname: string): number {
  const [, digits] = /([0-9]+)$/.exec(hostname) ?? [];
  if (digits === undefined) {
    throw new ServeError(
      `--node-id ordinal needs a host name with a number at its end, such as ids-3: this one is ${hostname}`,
    );
  }
  const { maxNodeId } = LAYOUTS[layout];
  const nodeId = nodeIdBase + Number(digits);
  if (nodeId <= maxNodeId) return nodeId;
  throw new ServeError(
    `the host name ${hostname} stands for node ${nodeId} (with --node-id-base ${nodeIdBase}), ` +
      `and the last one of the layout is ${maxNodeId}`,
  );
}

/** A node that a server may try to hold. */
export interface NodeCandidate {
  /** The node. */
  readonly nodeId: number;
  /** Whether this machine has had it: only worth a try if it can go on there at once. */
  readonly isOwn: boolean;
  /** Its record, whose holder is gone; `undefined` if it has none, or `isOwn`. */
  readonly goneRecord?: FoundRecord | undefined;
}

/**
 * Names the nodes that a server may try to hold, the best ones first: those that this machine has had, then those that
 * nobody holds, then those whose holders are gone.
 *
 * @param options The options of the server.
 * @param store Keeps the reservations.
 * @param stateDir The directory of this machine's locks.
 * @param signal Ends the search.
 * @throws {unknown} What the store throws, and the signal's reason.
 */
export async function* candidateNodes(
  options: ServeOptions,
  store: ReservationStore,
  stateDir: string,
  signal: AbortSignal,
): AsyncGenerator<NodeCandidate, void, undefined> {
  const layout = LAYOUTS[options.layout];
  for (const nodeId of await nodesIn(stateDir)) {
    if (nodeId <= layout.maxNodeId) yield { nodeId, isOwn: true };
  }
  const nodes = findNodes({
    store: CheckedStore.of(store),
    nodeIds: Array.from({ length: layout.maxNodeId + 1 }, (_, nodeId) => nodeId),
    isOfLayout: (text) => layout.isRecordedAs(text),
    monotonicClock: performance,
    sleep: (ms) => sleep(ms, signal),
    signal,
  });
  for await (const { nodeId, found } of nodes) yield { nodeId, isOwn: false, goneRecord: found };
}
