import type { AccessOptions } from "../access/guarded_responder.ts";
import type { WorkerConfig, WorkerShare } from "./control_channel.ts";
import type { Backend, ServeOptions } from "./serve_options.ts";

/** The facts that {@linkcode planWorkers} combines. */
export interface WorkerPlan {
  /** The options of the server. */
  readonly options: ServeOptions;
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
  return hostnames.flatMap((hostname, address) =>
    Array.from({ length: workerCount }, (_, i) => ({
      ...{ nodeId, worker: address * workerCount + i, layout, backend, hostname, clockPolicy, access },
      share: structuredClone(share),
      port: backend === "listen-datagram" && port > 0 ? port + i : port,
      cpu: cpus?.[i % cpus.length],
      incomingCpu: cpus?.[i % cpus.length],
    }))
  );
}
