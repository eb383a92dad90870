import { chartOf } from "./chart.ts";
import { drawChart } from "./draw_chart.ts";
import type { Figures } from "./figures.ts";
import type { Results, SectionResults } from "./results.ts";
import type { Section } from "./section.ts";
import { toMarkdown } from "./table.ts";

/**
 * Writes a report: `results.json`, `README.md`, and a chart for each section.
 *
 * @param directory Where to; made if it is not there.
 */
export async function writeReport(
  directory: string,
  sections: Iterable<Section>,
  results: Results,
  figures: Figures,
): Promise<void> {
  await Deno.mkdir(directory, { recursive: true });
  const parts = [introduction(results)];
  for (const section of sections) {
    const { tables, panels } = section.show(figures);
    const chart = chartOf(panels);
    if (chart !== undefined) await Deno.writeTextFile(`${directory}/${section.name}.svg`, drawChart(chart));
    parts.push(`## ${section.title}`, section.about);
    if (chart !== undefined) parts.push(`![${section.title}](${section.name}.svg)`);
    parts.push(...tables.map(toMarkdown), leftOutLines(results.sections[section.name]));
  }
  await Deno.writeTextFile(`${directory}/README.md`, parts.filter((part) => part !== "").join("\n\n"));
  await Deno.writeTextFile(`${directory}/results.json`, JSON.stringify(results));
  await format(directory);
}

function introduction({ machine, rounds, secondsEach, isQuick, idsChecked }: Results): string {
  const { date, cpu, cpus, memoryGib, kernel, governor, deno, loadAverage } = machine;
  return [
    "# Figures",
    "Measured by `deno task bench:report`, which wrote this page. Every figure of every round is in " +
    "[results.json](results.json).",
    [
      `- ${date.slice(0, 16).replace("T", " ")} UTC${isQuick ? ", quick: a trial, not a measurement" : ""}`,
      `- ${cpus} CPUs: ${cpu}; ${memoryGib} GiB; ${kernel}; Deno ${deno}`,
      ...governor === undefined ? [] : [`- frequency governor: ${governor}`],
      `- load average before: ${loadAverage.toFixed(2)}`,
      `- rounds: ${rounds}, ${secondsEach} s each; in each round, everything of a section is measured once. Figures are ` +
      "medians, with the lowest and the highest round in parentheses; ratios are those of medians",
      `- ids received from our servers and checked: ${idsChecked.toLocaleString("en")}; none came twice`,
    ].join("\n"),
  ].join("\n\n");
}

function leftOutLines({ leftOut }: SectionResults): string {
  return Object.entries(leftOut).map(([why, names]) => `- Left out: ${names.join("; ")}. Why: ${why}`).join("\n");
}

/** As `deno fmt --check` wants all files of the project. */
async function format(directory: string): Promise<void> {
  const { success, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["fmt", "--quiet", "--permit-no-files", directory],
    cwd: new URL("../../", import.meta.url),
    stderr: "piped",
  }).output();
  if (!success) throw new Error(`cannot format the report: ${new TextDecoder().decode(stderr)}`);
}
