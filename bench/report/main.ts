/**
 * Measures the server, the client and the generator, and writes a report with charts to bench/results/. Linux only, but
 * for `in_process`.
 *
 *     deno task bench:report --help
 */
import { UsageError } from "../../lib/cli/flags.ts";
import { allowedCpus } from "../../lib/placement/cpus.ts";
import { buildReference } from "../reference/build.ts";
import { stop } from "../stop.ts";
import { Figures } from "./figures.ts";
import type { LabOptions } from "./lab.ts";
import { describeMachine } from "./machine.ts";
import { measureSection } from "./measure_section.ts";
import { parseReportArgs, REPORT_HELP, type ReportOptions } from "./report_options.ts";
import { type Results, rowsOf } from "./results.ts";
import { tablesOf, writeReport } from "./write_report.ts";

/** As a shell says that a signal has ended a program. */
const STOPPED = 130;

try {
  await main(Deno.args);
} catch (error) {
  if (!stop.aborted && !(error instanceof UsageError)) throw error;
  console.error(stop.aborted ? "stopped" : (error as Error).message);
  Deno.exit(stop.aborted ? STOPPED : 2);
}

async function main(args: string[]): Promise<void> {
  const options = parseReportArgs(args);
  if (options === undefined) return console.log(REPORT_HELP);
  const figures = new Figures();
  const results = await measureAll(options, figures);
  if (options.out !== undefined) return await writeReport(options.out, options.sections, results, figures);
  for (const section of options.sections) console.log(tablesOf(section, results, figures));
}

async function measureAll({ rounds, seconds, isQuick, sections }: ReportOptions, figures: Figures): Promise<Results> {
  const machine = await describeMachine();
  const results: Results = { machine, rounds, secondsEach: seconds, isQuick, idsChecked: 0, sections: {} };
  const cpus = (await allowedCpus()).cpus ?? [0];
  const lab: LabOptions = { reference: await buildReference(), cpus, seconds, isQuick };
  for (const section of sections) {
    const { leftOut, idCount } = await measureSection(section, lab, rounds, figures);
    results.idsChecked += idCount;
    results.sections[section.name] = { title: section.title, leftOut, rows: rowsOf(section, isQuick, figures) };
  }
  return results;
}
