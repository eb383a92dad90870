import { GlobalIdError } from "../base/errors.ts";
import { ownCommand, VERSION } from "../base/own_command.ts";
import { printable } from "../base/printable.ts";
import { sleep } from "../base/sleep.ts";
import { LAYOUTS } from "../id/presets.ts";
import { CheckedStore } from "../reservation/checked_store.ts";
import { freeNode } from "../reservation/free_node.ts";
import { describeHolder, type Reservation } from "../reservation/reservation.ts";
import { type NodeStatus, watchNodes } from "../reservation/watch_nodes.ts";
import { openStore } from "../server/open_store.ts";
import { defaultStateDir, openStateDir } from "../server/state_dir.ts";
import { integerFlag, readFlags, storeFlag, UsageError } from "./flags.ts";

/** The highest node id of any layout: those of Sonyflake have 16 bits. */
const MAX_NODE_ID = Math.max(...Object.values(LAYOUTS).map(({ maxNodeId }) => maxNodeId));

/** The longest cell of the table, in characters: a record may have a layout of thousands. */
const MAX_CELL = 80;

/** The text that `--help` prints. */
export const NODES_HELP = `Shows who holds which node in a store of reservations.

Usage: ${ownCommand("nodes")} [flags]

  --store STORE    the store, as the server's: see ${ownCommand("serve")} --help; default: the database in the state
                   directory
  --state DIR      the server's state directory; default ~/.global-id
  --watch SECONDS  for how long to watch for signs of life at most, 0 to 60; default 6, after which a claim takes a
                   holder without one for gone
  --free N         free node N instead, if its holder is gone: the next claim then takes it without watching first
  --json           print an array of JSON, with an object a node
  --help           print this
  --version        print the version

A node is alive if its record has changed while it was watched, as it does every one or two seconds; silent if it is
held, and has not; free if it was given back. Those that are not listed were never held. "Last written" is when its
holder last wrote the record, by the holder's own clock.`;

/** The command that a command line stands for. */
export type NodesCommand = { kind: "help" } | { kind: "version" } | ListCommand | FreeCommand;

/** Which store a command is about. */
interface StoreChoice {
  /** The store's URL or path; `undefined`: the database in the state directory. */
  readonly store: string | undefined;
  /** The state directory; `undefined`: the default one. */
  readonly stateDir: string | undefined;
}

/** The nodes are to be listed. */
export interface ListCommand extends StoreChoice {
  /** Tells this command from the others. */
  readonly kind: "list";
  /** For how long to watch at most, in ms. */
  readonly watchMs: number;
  /** Whether to print JSON. */
  readonly isJson: boolean;
}

/** A node is to be freed. */
export interface FreeCommand extends StoreChoice {
  /** Tells this command from the others. */
  readonly kind: "free";
  /** The node. */
  readonly nodeId: number;
}

/**
 * Reads the command line.
 *
 * @param args The command line.
 * @throws {UsageError} If it is wrong; the message says what is allowed.
 */
export function parseNodesArgs(args: string[]): NodesCommand {
  const flags = readFlags(args, {
    string: ["store", "state", "watch", "free"],
    boolean: ["json", "help", "version"],
  });
  if (flags.help) return { kind: "help" };
  if (flags.version) return { kind: "version" };
  if (flags.store !== undefined) storeFlag(flags.store);
  const choice = { store: flags.store, stateDir: flags.state };
  const nodeId = integerFlag("free", flags.free, { min: 0, max: MAX_NODE_ID });
  const watchS = integerFlag("watch", flags.watch, { min: 0, max: 60 });
  if (nodeId === undefined) return { kind: "list", ...choice, watchMs: (watchS ?? 6) * 1000, isJson: flags.json };
  if (watchS !== undefined || flags.json) throw new UsageError("--free goes with --store and --state only");
  return { kind: "free", ...choice, nodeId };
}

/**
 * Runs the command.
 *
 * @param args The command line: see `--help`.
 * @returns The exit code: 0 if it did as it was told, 1 if it could not, 2 if the command line was wrong.
 * @throws {unknown} What should not happen: an error in this program.
 */
export async function runNodesCommand(args: string[]): Promise<number> {
  try {
    const command = parseNodesArgs(args);
    if (command.kind === "help") {
      console.log(NODES_HELP);
    } else if (command.kind === "version") {
      console.log(`global-id ${VERSION}`);
    } else {
      await withStore(command, (store) => command.kind === "list" ? list(store, command) : free(store, command));
    }
    return 0;
  } catch (error) {
    if (!(error instanceof GlobalIdError)) throw error;
    console.error(`global-id: ${printable(error.message)}`);
    return error instanceof UsageError ? 2 : 1;
  }
}

async function withStore(
  { store, stateDir }: StoreChoice,
  act: (store: CheckedStore) => Promise<void>,
): Promise<void> {
  const directory = store === undefined ? await openStateDir(stateDir ?? defaultStateDir()) : "";
  await using open = await openStore(store, directory, { info: warn, warn });
  await act(CheckedStore.of(open));
}

async function list(store: CheckedStore, { watchMs, isJson }: ListCommand): Promise<void> {
  const nodes = await watchNodes({ store, watchMs, monotonicClock: performance, sleep });
  console.log(isJson ? formatJson(nodes) : formatNodes(nodes));
}

async function free(store: CheckedStore, { nodeId }: FreeCommand): Promise<void> {
  const freed = await freeNode({ store, nodeId, monotonicClock: performance, sleep });
  const line = freed === undefined
    ? `node ${nodeId} is free: nobody holds it`
    : `node ${nodeId} is free now: it was held by ${describeHolder(freed.record)}, which is gone`;
  console.log(printable(line));
}

function warn(line: string): void {
  console.error(`global-id: ${printable(line)}`);
}

/**
 * Writes nodes as a table for people, a line each, and a last line with their numbers.
 *
 * @param nodes The nodes.
 */
export function formatNodes(nodes: readonly NodeStatus[]): string {
  const rows = nodes.map(({ nodeId, state, found }) => {
    if (state === "unreadable") return [String(nodeId), state, found.message];
    const { mark, writtenMs, info, layout } = found.record;
    const { host = "-", address = "-", version = "-", since = "-" } = info;
    const [written, until] = [timeOf(writtenMs) ?? "-", markTime(found.record) ?? `tick ${mark}`];
    return [String(nodeId), state, written, until, layoutName(layout), since, host, address, version];
  });
  const head = ["node", "state", "last written", "reserved until", "layout", "held since"];
  return [...(rows.length > 0 ? tableOf([[...head, "host", "address", "version"], ...rows]) : []), countsOf(nodes)]
    .join("\n");
}

/**
 * Writes nodes as one line of JSON in ASCII, which no terminal obeys: `[{"nodeId":0,"state":"alive", …}]`.
 *
 * @param nodes The nodes.
 */
export function formatJson(nodes: readonly NodeStatus[]): string {
  const rows = nodes.map(({ nodeId, state, found }) => {
    if (state === "unreadable") return { nodeId, state, error: found.message };
    const { mark, writtenMs, beat, layout, info } = found.record;
    const times = { markTime: markTime(found.record), writtenTime: timeOf(writtenMs) };
    return { nodeId, state, mark, ...times, beat, layout, info };
  });
  return JSON.stringify(rows).replaceAll(
    /[^ -~]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

/** The lines of a table; all cells but those of the last column are as wide as the widest. */
function tableOf(rows: readonly string[][]): string[] {
  const cells = rows.map((row) => row.map((cell) => printable(cell).slice(0, MAX_CELL)));
  const widthOf = (column: number) => Math.max(...cells.map((row) => column < row.length - 1 ? row[column].length : 0));
  return cells.map((row) => row.map((cell, column) => cell.padEnd(widthOf(column))).join("  ").trimEnd());
}

function countsOf(nodes: readonly NodeStatus[]): string {
  if (nodes.length === 0) return "no node is on record: none was ever held";
  const counts = (["alive", "silent", "free", "unreadable"] as const).map((state) =>
    [nodes.filter((node) => node.state === state).length, state] as const
  );
  const listed = counts.filter(([count]) => count > 0).map(([count, state]) => `${count} ${state}`).join(", ");
  return `on record: ${listed}`;
}

/** The time at which all that is reserved is over; `undefined` in a layout that is no preset, or past all dates. */
function markTime({ mark, layout }: Reservation): string | undefined {
  const preset = presetOf(layout)?.[1];
  return preset && timeOf(preset.epochMs + mark * preset.tickMs);
}

/** A time as people read it; `undefined` if there is none, or past all dates. */
function timeOf(ms: number = NaN): string | undefined {
  const time = new Date(ms);
  return Number.isNaN(time.getTime()) ? undefined : time.toISOString();
}

function layoutName(layout: string): string {
  return presetOf(layout)?.[0] ?? layout;
}

function presetOf(recorded: string) {
  return Object.entries(LAYOUTS).find(([, layout]) => layout.isRecordedAs(recorded));
}
