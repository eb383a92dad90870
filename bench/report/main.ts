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
import { type Measured, measureSection } from "./measure_section.ts";
import { parseReportArgs, REPORT_HELP, type ReportOptions } from "./report_options.ts";
import { resultsOf } from "./results.ts";
import type { Section } from "./section.ts";
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
  const machine = await describeMachine();
  const figures = new Figures();
  const measured = await measureAll(options, figures);
  const results = resultsOf(machine, options, measured, figures);
  if (options.out !== undefined) return await writeReport(options.out, options.sections, results, figures);
  for (const section of options.sections) console.log(tablesOf(section, results, figures));
}

async function measureAll(options: ReportOptions, figures: Figures): Promise<Map<Section, Measured>> {
  const { seconds, isQuick, rounds } = options;
  const lab: LabOptions = {
    reference: await buildReference(),
    cpus: (await allowedCpus()).cpus ?? [0],
    seconds,
    isQuick,
  };
  const measured = new Map<Section, Measured>();
  for (const section of options.sections) {
    measured.set(section, await measureSection(section, lab, rounds, figures, (line) => console.error(line)));
  }
  return measured;
}
