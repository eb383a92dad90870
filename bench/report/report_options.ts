import { integerFlag, readFlags, UsageError } from "../../lib/cli/flags.ts";
import type { Section } from "./section.ts";
import { SECTIONS } from "./sections.ts";

/** The report that was asked for. */
export interface ReportOptions {
  /** How often everything is measured. */
  rounds: number;
  /** How long, each time, in s. */
  seconds: number;
  /** Whether a few figures will do. */
  isQuick: boolean;
  sections: readonly Section[];
  /** The directory that the report is written to; `undefined`: its tables are printed. */
  out: string | undefined;
}

const DEFAULT_OUT = new URL("../results", import.meta.url).pathname;

const NAMES = SECTIONS.map(({ name }) => name).join(", ");

/** The text of `--help`. */
export const REPORT_HELP =
  `Measures the server, the client and the generator, and writes a report. Takes 45 minutes, on a machine that should
have nothing else to do.

Usage: deno task bench:report [flags]

  --rounds N    how often everything is measured, 1 to 100; default 5: the report shows medians
  --seconds N   how long, each time, in s, 1 to 60; default 3
  --quick       one round of 1 s, and fewer figures: within two minutes
  --only A,B    only these sections, and without --out their tables are printed, not written to a file:
                ${NAMES}
  --out DIR     the directory that the report is written to; default bench/results
  --help        print this`;

/**
 * Reads the command line.
 *
 * @returns The report that was asked for; `undefined` for the help.
 * @throws {UsageError} If it is wrong.
 */
export function parseReportArgs(args: string[]): ReportOptions | undefined {
  const flags = readFlags(args, { string: ["rounds", "seconds", "only", "out"], boolean: ["quick", "help"] });
  if (flags.help) return undefined;
  return {
    rounds: integerFlag("rounds", flags.rounds, { min: 1, max: 100 }) ?? (flags.quick ? 1 : 5),
    seconds: integerFlag("seconds", flags.seconds, { min: 1, max: 60 }) ?? (flags.quick ? 1 : 3),
    isQuick: flags.quick,
    sections: flags.only === undefined ? SECTIONS : sectionsFlag(flags.only),
    out: flags.out ?? (flags.only === undefined ? DEFAULT_OUT : undefined),
  };
}

/** The sections named, in the order of the report. */
function sectionsFlag(list: string): Section[] {
  const names = list.split(",");
  const unknown = names.find((name) => !SECTIONS.some((section) => section.name === name));
  if (unknown !== undefined) {
    throw new UsageError(`--only: there is no section ${JSON.stringify(unknown)}, but ${NAMES}`);
  }
  return SECTIONS.filter(({ name }) => names.includes(name));
}
