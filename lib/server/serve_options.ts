import type { ClockPolicy } from "../id/id_generator_options.ts";
import type { LayoutName } from "../id/presets.ts";

/** The kind of the workers' sockets: see `lib/udp/`. */
export type Backend = "reuseport" | "listen-datagram";

/**
 * Which node a server takes: the one with this id; any that nobody holds (`auto`); or the one whose id is the number at
 * the end of the host's name, plus `nodeIdBase` (`ordinal`).
 */
export type NodeChoice = number | "auto" | "ordinal";

/** What a server is asked to do. The command line gives every option a value: see `lib/cli/serve_command.ts`. */
export interface ServeOptions {
  /** The node whose ids the server hands out. */
  node: NodeChoice;
  /** The node id of the host whose name ends with 0, if the node is chosen by that number. */
  nodeIdBase: number;
  /** The URL of the store of reservations (see `openStore`); `undefined`: a file in the state directory. */
  store: string | undefined;
  /** Whether the store never goes back, although machines share it: see `HolderOptions.trustStore`. */
  trustStore: boolean;
  /** The IP addresses to bind, one at least, each by workers of its own. */
  hostnames: readonly string[];
  /** The port; with the backend `listen-datagram`, the first worker's. 0: let the system choose. */
  port: number;
  /** How many worker processes to run for each address; `undefined`: one for every CPU that this process may use. */
  workers: number | undefined;
  /** The kind of the workers' sockets; `undefined`: the best that works here. */
  backend: Backend | undefined;
  /** How ids are laid out. */
  layout: LayoutName;
  /** What to do while the clock is behind. */
  clockPolicy: ClockPolicy;
  /** By how much the clock may be off, in ms, as far as the system can tell; `undefined`: by any amount. */
  maxDriftMs: number | undefined;
  /** The directory of reservations and locks; `undefined`: `.global-id` in the home directory. */
  stateDir: string | undefined;
  /** The ranges of client addresses that get ids; `undefined`: all. */
  allow: string[] | undefined;
  /** The file of the key that requests must be signed with; `undefined`: requests need no signature. */
  keyFile: string | undefined;
  /** The name of the cluster that signed requests must be for. */
  cluster: string;
  /** How many of the node's ids of a tick one address may get, in percent; `undefined`: all. */
  sourceShare: number | undefined;
  /** How many bits of an IPv6 address count as one address for {@linkcode sourceShare}, 32 to 64. */
  sourcePrefix: number;
  /** How many ids a request gets at most; `undefined`: 1/16 of those that its worker can take of a tick. */
  maxCount: number | undefined;
  /** Whether to take over from a running server of the node. */
  isReplacing: boolean;
}

/** The options of a server that has chosen its node. */
export interface NodeOptions extends ServeOptions {
  /** The node. */
  nodeId: number;
}
