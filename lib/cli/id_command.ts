import { explainKeyFileError, readKeyFile } from "../access/key_file.ts";
import { GlobalIdError } from "../base/errors.ts";
import { messageOf } from "../base/message_of.ts";
import { ownCommand, VERSION } from "../base/own_command.ts";
import { printable } from "../base/printable.ts";
import { readEndpoint } from "../client/endpoint.ts";
import { findServers, storeNameOf } from "../client/find_servers.ts";
import { IdClient, type IdClientOptions } from "../client/id_client.ts";
import { checkId, type IdLayout } from "../id/layout.ts";
import { type LayoutName, LAYOUTS } from "../id/presets.ts";
import { formatId, type IdForm, parseId } from "../id/text.ts";
import { checkPartner, clusterFlag, integerFlag, readFlags, UsageError, wordFlag } from "./flags.ts";

const DAY_MS = 86_400_000;

/** How many ids the command requests and prints at a time. */
const CHUNK = 10_000;

const FORMS: readonly IdForm[] = ["decimal", "hex", "base32", "base62"];

/** The text that `--help` prints. */
export const ID_HELP = `Prints ids from a running server, or what an id is made of.

Usage: ${ownCommand("id")} [flags]

  --host HOST       the server's address or name; default 127.0.0.1
  --port N[,N...]   its port, or the ports of its workers if each has one; default 9999
  --servers LIST    several servers instead, of which one that does not answer is left out: HOST:PORT[,HOST:PORT...];
                    or dns:NAME:PORT, all addresses of a name; or store:etcd://..., those on record there
  --count N         how many ids; default 1
  --form NAME       how ids are written: ${FORMS.join(", ")}; default decimal
  --key-file FILE   sign the requests with the key in this file (the first, if it has two), for a server that was
                    started with it
  --cluster NAME    the cluster that the server is started for, with --key-file; default: the prefix in the URL of
                    --servers store:..., else global-id
  --inspect ID      print the parts of this id instead, in whatever form it is written; if it can be read in
                    several forms, print them for each, unless --form tells which one it is
  --at TIME         print the lowest and the highest id of a time instead, over all nodes: of a day in UTC, such as
                    2030-05-01, or of a moment, such as 2030-05-01T12:00:00Z
  --layout NAME     how the ids are laid out, for --inspect and --at:
                    ${Object.keys(LAYOUTS).join(", ")}
  --help            print this
  --version         print the version`;

/** The command that a command line stands for. */
export type IdCommand =
  | { kind: "help" }
  | { kind: "version" }
  | { kind: "inspect"; readings: readonly IdReading[]; layout: LayoutName }
  | { kind: "at"; lowest: bigint; highest: bigint; form: IdForm }
  | PrintCommand;

/** An id that a text may stand for. */
export interface IdReading {
  /** The form that the text is read in; of several that give the same id, the first. */
  readonly form: IdForm;
  /** The id. */
  readonly id: bigint;
}

/** Ids that the command is to request from a server, and print. */
export interface PrintCommand {
  /** Tells this command from the others. */
  readonly kind: "print";
  /** Where the server is, or the servers are. */
  readonly from: Pick<IdClientOptions, "hostname" | "port" | "servers">;
  /** How many ids. */
  readonly count: number;
  /** The text form of the ids. */
  readonly form: IdForm;
  /** The file of the key that signs requests, if the server wants that. */
  readonly keyFile: string | undefined;
  /** The name of the cluster that signed requests are for. */
  readonly cluster: string;
}

/**
 * Reads the command line.
 *
 * @param args The command line.
 * @throws {UsageError} If it is wrong; the message says what is allowed.
 */
export function parseIdArgs(args: string[]): IdCommand {
  const flags = readFlags(args, {
    string: ["host", "port", "servers", "count", "form", "inspect", "at", "layout", "key-file", "cluster"],
    boolean: ["help", "version"],
  });
  if (flags.help) return { kind: "help" };
  if (flags.version) return { kind: "version" };
  const form = wordFlag("form", flags.form, FORMS);
  const layout = wordFlag("layout", flags.layout, Object.keys(LAYOUTS) as LayoutName[]) ?? "default";
  if (flags.inspect !== undefined) {
    return { kind: "inspect", readings: readingsOf(flags.inspect, form, LAYOUTS[layout]), layout };
  }
  if (flags.at !== undefined) return { kind: "at", ...idsAt(flags.at, LAYOUTS[layout]), form: form ?? "decimal" };
  const isSigned = flags["key-file"] !== undefined;
  checkPartner("cluster", flags.cluster, "--key-file", isSigned);
  if (flags.servers !== undefined && (flags.host ?? flags.port) !== undefined) {
    throw new UsageError("--servers takes the place of --host and --port: leave these two out");
  }
  const from = flags.servers === undefined ? serverFlags(flags.host, flags.port) : serversFlag(flags.servers);
  return {
    kind: "print",
    from,
    count: integerFlag("count", flags.count, { min: 1, max: 1_000_000_000 }) ?? 1,
    form: form ?? "decimal",
    keyFile: flags["key-file"],
    cluster: clusterFlag(flags.cluster, isSigned ? storeNameOf(from.servers) : undefined),
  };
}

function serverFlags(host = "127.0.0.1", ports = "9999"): PrintCommand["from"] {
  const port = ports.split(",").map((port) => integerFlag("port", port, { min: 1, max: 65_535 }));
  return { hostname: host, port };
}

function serversFlag(text: string): PrintCommand["from"] {
  try {
    if (/^(dns|store):/.test(text)) {
      findServers(text);
      return { servers: text };
    }
    return { servers: text.split(",").map(readEndpoint) };
  } catch (error) {
    throw new UsageError(`--servers: ${messageOf(error)}`, { cause: error });
  }
}

/** The ids of a layout that a text stands for: one a form, unless forms give the same. There is one at least. */
function readingsOf(text: string, form: IdForm | undefined, layout: IdLayout): IdReading[] {
  const readings: IdReading[] = [];
  for (const candidate of form === undefined ? FORMS : [form]) {
    try {
      const id = readId(text, candidate, layout);
      if (!readings.some((reading) => reading.id === id)) readings.push({ form: candidate, id });
    } catch (error) {
      if (!(error instanceof UsageError)) throw error; // else the text is of another form
    }
  }
  return readings.length > 0 ? readings : [{ form: form ?? "decimal", id: readId(text, form, layout) }];
}

/** The lowest and the highest id of a day, or of the tick that a moment lies in. */
function idsAt(text: string, layout: IdLayout): { lowest: bigint; highest: bigint } {
  const isDay = /^\d{4}-\d\d-\d\d$/.test(text);
  const isMoment = /^\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)$/.test(text);
  const fromMs = Date.parse(text);
  if (!isDay && !isMoment || Number.isNaN(fromMs) || isDay && !new Date(fromMs).toISOString().startsWith(text)) {
    throw new UsageError(
      "--at must be a day, such as 2030-05-01, or a moment with its time zone, such as 2030-05-01T12:00:00Z: " +
        `got ${JSON.stringify(text)}`,
    );
  }
  try {
    return { lowest: layout.lowestIdAt(fromMs), highest: layout.highestIdAt(isDay ? fromMs + DAY_MS - 1 : fromMs) };
  } catch (error) {
    throw new UsageError(`--at: ${messageOf(error)}; --layout says how ids are laid out`, { cause: error });
  }
}

/** Reads an id of a layout. */
function readId(text: string, form: IdForm | undefined, layout: IdLayout): bigint {
  let id: bigint;
  try {
    id = parseId(text, form ?? formOfWidth(text));
  } catch (error) {
    const hint = form === undefined ? "; --form says which form it is in" : "";
    throw new UsageError(`--inspect: ${messageOf(error)}${hint}`, { cause: error });
  }
  try {
    return checkId(id, layout.totalBits);
  } catch (error) {
    throw new UsageError(`--inspect: ${messageOf(error)}; --layout says how it is laid out`, { cause: error });
  }
}

/** The form that a text is written in. Each form has its own width; only decimals may be shorter. */
function formOfWidth(text: string): IdForm {
  const width = text.replace(/^0x/i, "").length;
  return FORMS.find((form) => formatId(0n, form).length === width) ?? "decimal";
}

/**
 * Describes an id: its parts and its text forms.
 *
 * @param id The id.
 * @param layout How it is laid out.
 * @returns Lines of text.
 * @throws {RangeError} If the id has more bits than the layout.
 */
export function inspectId(id: bigint, layout: IdLayout): string {
  const { tick, sequence, nodeId } = layout.unpack(id);
  const time = layout.timestampOf(id);
  const rows = [
    ["time", Number.isNaN(time.getTime()) ? "past the year 275760" : time.toISOString()],
    ["tick", `${tick} (of ${layout.tickMs} ms since ${new Date(layout.epochMs).toISOString()})`],
    ["sequence", `${sequence} (of 0 to ${layout.maxSequence})`],
    ["node id", `${nodeId} (of 0 to ${layout.maxNodeId})`],
    ...FORMS.map((form) => [form, formatId(id, form)]),
  ];
  return rows.map(([name, value]) => `${name.padEnd(10)}${value}`).join("\n");
}

/** Describes what a text stands for: if it can be read in several forms, in each of them. */
function inspectReadings(readings: readonly IdReading[], layout: IdLayout): string {
  if (readings.length === 1) return inspectId(readings[0].id, layout);
  return readings.map(({ form, id }) => `read as ${form} (--form ${form}):\n${inspectId(id, layout)}`).join("\n\n");
}

/**
 * Runs the command.
 *
 * @param args The command line: see `--help`.
 * @returns The exit code: 0 if it did as it was told, 1 if the server gave no ids, 2 if the command line was wrong.
 * @throws {unknown} What should not happen: an error in this program.
 */
export async function runIdCommand(args: string[]): Promise<number> {
  try {
    const command = parseIdArgs(args);
    if (command.kind === "help") {
      console.log(ID_HELP);
    } else if (command.kind === "version") {
      console.log(`global-id ${VERSION}`);
    } else if (command.kind === "inspect") {
      console.log(inspectReadings(command.readings, LAYOUTS[command.layout]));
    } else if (command.kind === "at") {
      console.log(`lowest    ${formatId(command.lowest, command.form)}`);
      console.log(`highest   ${formatId(command.highest, command.form)}`);
    } else {
      await printIds(command);
    }
    return 0;
  } catch (error) {
    if (!(error instanceof GlobalIdError)) throw error;
    console.error(`global-id: ${printable(error.message)}`);
    return error instanceof UsageError ? 2 : 1;
  }
}

async function printIds({ from, count, form, keyFile, cluster }: PrintCommand): Promise<void> {
  const key = keyFile === undefined ? {} : { key: await readKey(keyFile) };
  using client = new IdClient({ ...from, cluster, ...key });
  for (let left = count; left > 0; left -= CHUNK) {
    const ids = await client.nextIds(Math.min(left, CHUNK));
    console.log(ids.map((id) => formatId(id, form)).join("\n"));
  }
}

async function readKey(path: string): Promise<Uint8Array> {
  try {
    const [key] = await readKeyFile(path);
    return key;
  } catch (error) {
    throw new UsageError(explainKeyFileError(error, path), { cause: error });
  }
}
