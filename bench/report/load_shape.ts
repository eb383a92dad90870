import type { LoadOptions } from "../reference/run_load.ts";
import type { Lab } from "./lab.ts";

/** What one load process is to do. */
export type LoadShape = Pick<LoadOptions, "cpu" | "sockets" | "inFlight" | "send" | "protocol" | "count" | "rate">;

/** As many requests a socket has in flight at most: the system's default buffer takes about 190 datagrams. */
const MAX_IN_FLIGHT_PER_SOCKET = 64;

/**
 * The load on a server with so many workers: for one, a process on the CPU next to its own; for more, a process on the
 * CPU of each.
 *
 * @param inFlight How many requests are in flight in all, at least one a process.
 */
export function loadShapes(lab: Lab, workers: number, inFlight: number): LoadShape[] {
  const each = Math.max(Math.floor(inFlight / workers), 1);
  const sockets = Math.ceil(each / MAX_IN_FLIGHT_PER_SOCKET);
  return Array.from({ length: workers }, (_, i) => ({
    cpu: lab.cpu(workers === 1 ? 1 : i),
    sockets,
    inFlight: each / sockets,
  }));
}
