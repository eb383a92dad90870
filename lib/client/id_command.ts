import { integerFlag, readFlags, UsageError, wordFlag } from "../flags/flags.ts";
import type { IdLayout } from "../id/layout.ts";
import { type LayoutName, LAYOUTS } from "../id/presets.ts";
import { formatId, type IdForm, parseId } from "../id/text.ts";

const FORMS: readonly IdForm[] = ["decimal", "hex", "base32", "base62"];

/** What `--help` prints. */
export const ID_HELP = `Prints ids from a running server, or what an id is made of.

Usage: deno task id [flags]

  --host HOST       the server's address or name; default 127.0.0.1
  --port N[,N...]   its port, or the ports of its workers if each has one; default 9999
  --count N         how many ids; default 1
  --form NAME       how ids are written: ${FORMS.join(", ")}; default decimal
  --key-file FILE   sign the requests with the key in this file, for a server that was started with it
  --inspect ID      print the parts of this id instead, in whatever form it is written
                    (where its length does not tell which one, --form does)
  --layout NAME     how the ids are laid out, for --inspect: ${Object.keys(LAYOUTS).join(", ")}
  --help            print this`;

/** What the command line asks for. */
export type IdCommand =
  | { kind: "help" }
  | { kind: "inspect"; id: bigint; layout: LayoutName }
  | { kind: "print"; hostname: string; ports: number[]; count: number; form: IdForm; keyFile: string | undefined };

/**
 * Reads the command line.
 *
 * @param args The command line.
 * @throws {UsageError} If it is wrong; the message says what is allowed.
 */
export function parseIdArgs(args: string[]): IdCommand {
  const flags = readFlags(args, {
    string: ["host", "port", "count", "form", "inspect", "layout", "key-file"],
    boolean: ["help"],
  });
  if (flags.help) return { kind: "help" };
  const form = flags.form === undefined ? undefined : wordFlag("form", flags.form, FORMS, "decimal");
  const layout = wordFlag("layout", flags.layout, Object.keys(LAYOUTS) as LayoutName[], "default");
  if (flags.inspect !== undefined) return { kind: "inspect", id: readId(flags.inspect, form), layout };
  return {
    kind: "print",
    hostname: flags.host ?? "127.0.0.1",
    ports: (flags.port ?? "9999").split(",").map((port) => integerFlag("port", port, 1, 65_535, 9999)),
    count: integerFlag("count", flags.count, 1, 1_000_000_000, 1),
    form: form ?? "decimal",
    keyFile: flags["key-file"],
  };
}

/** Tells which form a text is written in: by its width, which is every form's own, but for decimals cut short. */
function readId(text: string, form: IdForm | undefined): bigint {
  const guess = form ?? FORMS.find((form) => formatId(0n, form).length === text.replace(/^0x/i, "").length) ??
    "decimal";
  try {
    return parseId(text, guess);
  } catch (error) {
    const hint = form === undefined ? "; --form says which form it is in" : "";
    throw new UsageError(`--inspect: ${(error as Error).message}${hint}`);
  }
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
