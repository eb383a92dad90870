import type { AccessOptions } from "../access/guarded_responder.ts";
import type { IdLayout } from "../id/layout.ts";
import { LAYOUTS } from "../id/presets.ts";
import type { WorkerConfig, WorkerShare } from "./control_channel.ts";
import type { Backend, NodeOptions } from "./serve_options.ts";

/**
 * Into how many requests the ids of a tick are divided, at least, unless the options say otherwise. A request may have
 * a spoofed sender, and takes its ids all the same.
 */
const REQUESTS_PER_TICK = 16;

/** The facts that {@linkcode planWorkers} combines. */
export interface WorkerPlan {
  /** The options of the server. */
  readonly options: NodeOptions;
  /** The kind of the workers' sockets. */
  readonly backend: Backend;
  /** How many workers to run for each address. */
  readonly workerCount: number;
  /** The CPUs to pin workers to, in turn; `undefined`: none. */
  readonly cpus: number[] | undefined;
  /** Where a worker's ids come from. */
  readonly share: WorkerShare;
  /** Which clients get ids. */
  readonly access: AccessOptions;
}

/** Configures each worker of a server. */
export function planWorkers({ options, backend, workerCount, cpus, share, access }: WorkerPlan): WorkerConfig[] {
  const { nodeId, layout, hostnames, port, clockPolicy } = options;
  const maxCount = options.maxCount ?? defaultMaxCount(LAYOUTS[layout], share);
  return hostnames.flatMap((hostname, address) =>
    Array.from({ length: workerCount }, (_, i) => ({
      ...{ nodeId, worker: address * workerCount + i, layout, backend, hostname, clockPolicy, access, maxCount },
      share: structuredClone(share),
      port: backend === "listen-datagram" && port > 0 ? port + i : port,
      cpu: cpus?.[i % cpus.length],
      incomingCpu: cpus?.[i % cpus.length],
    }))
  );
}

/** A part of the ids that a worker can take of a tick: all of the node's, or those of its subnode. At least 1. */
function defaultMaxCount({ maxSequence }: IdLayout, share: WorkerShare): number {
  const workers = share.kind === "subnode" ? share.workerCount : 1;
  return Math.max(Math.floor((maxSequence + 1) / workers / REQUESTS_PER_TICK), 1);
}
