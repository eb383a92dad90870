import type { ClockPolicy } from "../id/id_generator_options.ts";
import type { LayoutName } from "../id/presets.ts";

/** Which kind of socket the workers have: see `lib/udp/`. */
export type Backend = "reuseport" | "listen-datagram";

/** What the server was asked to do. */
export interface ServeOptions {
  /** The node whose ids it hands out. */
  nodeId: number;
  /** The IP address to bind. */
  hostname: string;
  /** The port; with the backend listen-datagram, the first worker's. 0: let the system choose. */
  port: number;
  /** How many worker processes; `undefined`: one for every CPU that this process may use. */
  workers: number | undefined;
  /** The kind of socket; `undefined`: the best that works here. */
  backend: Backend | undefined;
  /** How the ids are laid out. */
  layout: LayoutName;
  /** What to do while the clock is behind. */
  clockPolicy: ClockPolicy;
  /** By how much the clock may be off, in ms, as far as the system can tell; `undefined`: by any. */
  maxDriftMs: number | undefined;
  /** The directory of the reservations and locks; `undefined`: `.global-id` in the home directory. */
  stateDir: string | undefined;
  /** The ranges of addresses that are let in; `undefined`: all. */
  allow: string[] | undefined;
  /** The file of the key that requests must be signed with; `undefined`: none is needed. */
  keyFile: string | undefined;
  /** How many of a worker's ids of a tick one address may have, in percent; `undefined`: all. */
  sourceShare: number | undefined;
  /** Whether to take the place of a server that has the node. */
  isReplacing: boolean;
}
