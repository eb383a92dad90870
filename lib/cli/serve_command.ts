import { messageOf } from "../base/message_of.ts";
import { ownCommand, VERSION } from "../base/own_command.ts";
import { printable } from "../base/printable.ts";
import { AllowList } from "../access/allow_list.ts";
import type { ClockPolicy } from "../id/id_generator_options.ts";
import { MAX_COUNT } from "../id/id_sequencer.ts";
import { type LayoutName, LAYOUTS } from "../id/presets.ts";
import { ServeError } from "../server/serve_error.ts";
import type { ServeLog } from "../server/serve_log.ts";
import type { Backend, NodeChoice, ServeOptions } from "../server/serve_options.ts";
import type { ServeSignals } from "../server/serve_node.ts";
import { supervise } from "../server/supervisor.ts";
import { hasZone, parseIpAddress } from "../udp/ip_address.ts";
import { checkPartner, clusterFlag, integerFlag, readFlags, storeFlag, UsageError, wordFlag } from "./flags.ts";

/** More than any machine has CPUs. */
const MAX_WORKERS = 1024;

/** A day: more than any clock that is synchronized is off. */
const MAX_DRIFT_MS = 86_400_000;

/**
 * The bits of an IPv6 address that are one subscriber's. RFC 6177 and RIPE-690 have providers assign a /56 to a /48 to
 * each. With fewer bits, more neighbours share; with more, a subscriber has several shares.
 */
const DEFAULT_SOURCE_PREFIX = 56;

/** The text that `--help` prints. */
export const SERVE_HELP = `Hands out 64-bit ids that are never given out twice, over UDP.

Usage: ${ownCommand("serve")} [flags]

  --node-id N       the node whose ids are handed out, 0 to 1023 (as far as the layout goes); default 0
                    no two servers may have the same, unless they share a store, which keeps it from coming twice
                    auto     any node that nobody holds, rather the one that this machine had before; the default with
                             a store that machines share
                    ordinal  the number at the end of this host's name (as of a pod of a StatefulSet)
  --node-id-base N  with --node-id ordinal, what to add to that number; default 0
  --host ADDRESS    the IPv4 or IPv6 address to bind; default 127.0.0.1, this machine only; may be given several
                    times, each with workers of its own
  --port N          the port, 0 to 65535; default 9999; 0 lets the system choose
  --workers N       how many worker processes an address has; default: one for every CPU that this process may use
  --backend NAME    reuseport        all workers on one port (Linux, with --allow-ffi; the default there)
                    listen-datagram  a port for every worker, from --port on (everywhere)
  --layout NAME     how the ids are laid out: ${Object.keys(LAYOUTS).join(", ")}
  --clock POLICY    while the clock is behind the last id given out (it stepped back, or was ahead before):
                    refuse   give out no ids until it has caught up (the default)
                    logical  go on; the time in the ids is ahead of the clock by as much as it stepped back
  --max-drift MS    hand out ids only while the system is sure that its clock is off by at most so many ms (Linux)
  --state DIR       the directory of what must not be forgotten: which ticks of which node are spoken for;
                    default ~/.global-id
  --store STORE     the store of that, if it is not a database in the state directory:
                    etcd://HOST:PORT,HOST:PORT/PREFIX (etcds:// for TLS; files: ?credentials=FILE&ca=FILE&cert=FILE&
                    key=FILE), postgres://USER@HOST,HOST/DATABASE?credentials=FILE, or the path of a SQLite database
  --trust-store     begin at once, where the last reservation of a store that machines share ends, and not some 14 s
                    after the claim: for a store that nobody ever restores from a backup, or moves to a lagging standby
  --allow RANGE     let only these addresses in, such as 192.0.2.0/24 or 2001:db8::1; may be given several times
  --key-file FILE   answer only requests that are signed with the key in this file (see --key-file of the id command);
                    two lines are two keys, both accepted while the key is changed; SIGUSR2 reads the file again
                    make one: (umask 077; mkdir -p ~/.global-id; openssl rand -hex 32 > ~/.global-id/key)
  --cluster NAME    the cluster that signed requests must be for; default: the prefix or the database of a store that
                    machines share, else global-id; clients name the same, and systems that share a key, but not their
                    node ids, have a name each
  --source-share P  let one address have at most P percent of the ids of a tick, 1 to 100; with listen-datagram, each
                    worker's port gives an equal part of that
  --source-prefix N with --source-share, count the IPv6 addresses with the same first N bits as one, 32 to 64;
                    default ${DEFAULT_SOURCE_PREFIX}, what a subscriber commonly has
  --max-count N     let one request have at most N ids, 1 to 4294967295; clients ask again for more; default: 1/16 of
                    the ids of a tick (8192; with listen-datagram, of the worker's part)
  --replace         take the place of the server that has the node, which then ends; with none, just start
  --help            print this
  --version         print the version

SIGINT, SIGTERM and SIGHUP stop it; SIGUSR2 replaces its workers one by one, which read the key file anew (reuseport).`;

/** The command that a command line stands for. */
export type ServeCommand = { kind: "serve"; options: ServeOptions } | { kind: "help" } | { kind: "version" };

/**
 * Reads the server's command line.
 *
 * @param args The command line.
 * @throws {UsageError} If it is wrong; the message says what is allowed.
 */
export function parseServeArgs(args: string[]): ServeCommand {
  const flags = readFlags(args, {
    string: [
      "node-id",
      "node-id-base",
      "store",
      "port",
      "workers",
      "backend",
      "layout",
      "clock",
      "max-drift",
      "state",
      "key-file",
      "cluster",
      "source-share",
      "source-prefix",
      "max-count",
    ],
    list: ["host", "allow"],
    boolean: ["trust-store", "replace", "help", "version"],
  });
  if (flags.help) return { kind: "help" };
  if (flags.version) return { kind: "version" };

  const layout = wordFlag("layout", flags.layout, Object.keys(LAYOUTS) as LayoutName[]) ?? "default";
  const { maxNodeId } = LAYOUTS[layout];
  const store = flags.store === undefined ? undefined : storeFlag(flags.store);
  const isShared = store !== undefined && store.kind !== "sqlite";
  const isSigned = flags["key-file"] !== undefined;
  checkPartner("cluster", flags.cluster, "--key-file", isSigned);
  checkPartner("source-prefix", flags["source-prefix"], "--source-share", flags["source-share"] !== undefined);
  checkPartner("node-id-base", flags["node-id-base"], "--node-id ordinal", flags["node-id"] === "ordinal");
  checkPartner("trust-store", flags["trust-store"], "--store, of a store that machines share", isShared);
  return {
    kind: "serve",
    options: {
      node: nodeFlag(flags["node-id"], maxNodeId) ?? (isShared ? "auto" : 0),
      nodeIdBase: integerFlag("node-id-base", flags["node-id-base"], { min: 0, max: maxNodeId }) ?? 0,
      store: flags.store,
      trustStore: flags["trust-store"],
      hostnames: flags.host.length === 0 ? ["127.0.0.1"] : [...new Set(flags.host.map(addressFlag))],
      port: integerFlag("port", flags.port, { min: 0, max: 65_535 }) ?? 9999,
      workers: integerFlag("workers", flags.workers, { min: 1, max: MAX_WORKERS }),
      backend: wordFlag<Backend>("backend", flags.backend, ["reuseport", "listen-datagram"]),
      layout,
      clockPolicy: wordFlag<ClockPolicy>("clock", flags.clock, ["refuse", "logical"]) ?? "refuse",
      maxDriftMs: integerFlag("max-drift", flags["max-drift"], { min: 1, max: MAX_DRIFT_MS }),
      stateDir: flags.state,
      allow: flags.allow.length === 0 ? undefined : rangesFlag(flags.allow),
      keyFile: flags["key-file"],
      cluster: clusterFlag(flags.cluster, isSigned ? store?.name : undefined),
      sourceShare: integerFlag("source-share", flags["source-share"], { min: 1, max: 100 }),
      sourcePrefix: integerFlag("source-prefix", flags["source-prefix"], { min: 32, max: 64 }) ?? DEFAULT_SOURCE_PREFIX,
      maxCount: integerFlag("max-count", flags["max-count"], { min: 1, max: MAX_COUNT }),
      isReplacing: flags.replace,
    },
  };
}

function addressFlag(text: string): string {
  const address = parseIpAddress(text);
  if (address !== undefined && !hasZone(address)) return text;
  throw new UsageError(
    `--host must be an IPv4 or IPv6 address, such as 127.0.0.1, 0.0.0.0 or ::1: got ${JSON.stringify(text)}`,
  );
}

function nodeFlag(text: string | undefined, maxNodeId: number): NodeChoice | undefined {
  if (text === undefined || text === "auto" || text === "ordinal") return text;
  if (/^[0-9]/.test(text)) return integerFlag("node-id", text, { min: 0, max: maxNodeId });
  throw new UsageError(
    `--node-id must be an integer from 0 to ${maxNodeId}, auto or ordinal: got ${JSON.stringify(text)}`,
  );
}

function rangesFlag(ranges: string[]): string[] {
  try {
    AllowList.parse(ranges);
    return ranges;
  } catch (error) {
    throw new UsageError(`--allow: ${messageOf(error)}`, { cause: error });
  }
}

/**
 * Runs the server until a signal (SIGINT, SIGTERM or SIGHUP) stops it.
 *
 * @param args The command line: see `--help`.
 * @param entryPoint The module that is a worker when its first argument is `worker`.
 * @returns The exit code: 0 if it was stopped, 1 if it could not serve, 2 if the command line was wrong.
 */
export async function runServeCommand(args: string[], entryPoint: string): Promise<number> {
  try {
    const command = parseServeArgs(args);
    if (command.kind === "help") {
      console.log(SERVE_HELP);
    } else if (command.kind === "version") {
      console.log(`global-id ${VERSION}`);
    } else {
      await supervise(command.options, entryPoint, signals(), LOG);
    }
    return 0;
  } catch (error) {
    if (!(error instanceof UsageError || error instanceof ServeError)) throw error;
    LOG.warn(error.message);
    return error instanceof UsageError ? 2 : 1;
  }
}

const LOG: ServeLog = {
  info: (line) => console.log(`global-id: ${printable(line)}`),
  warn: (line) => console.error(`global-id: ${printable(line)}`),
};

/**
 * Listens to the system's signals. Most of those that end a process stop the server; SIGUSR2 makes it replace its
 * workers.
 */
function signals(): ServeSignals {
  const stopping = new AbortController();
  const isWindows = Deno.build.os === "windows";
  const ending: Deno.Signal[] = isWindows ? ["SIGINT", "SIGBREAK"] : ["SIGINT", "SIGTERM", "SIGHUP"];
  for (const signal of ending) Deno.addSignalListener(signal, () => stopping.abort());
  let reload = () => {};
  // Without a listener, SIGUSR2 would end the process, so there is one from the beginning.
  if (!isWindows) Deno.addSignalListener("SIGUSR2", () => reload());
  return { stop: stopping.signal, onReload: (listener) => void (reload = listener) };
}
