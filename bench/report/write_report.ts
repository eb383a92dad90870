import { denoCommand } from "../../testing/deno_process.ts";
import { chartOf } from "./chart.ts";
import { drawChart } from "./draw_chart.ts";
import type { Figures } from "./figures.ts";
import type { Results } from "./results.ts";
import type { Section } from "./section.ts";
import { toMarkdown } from "./table.ts";

/**
 * Writes a report: `results.json`, `README.md`, and a chart for each section.
 *
 * @param directory Where to; made if it is not there.
 */
export async function writeReport(
  directory: string,
  sections: readonly Section[],
  results: Results,
  figures: Figures,
): Promise<void> {
  await Deno.mkdir(directory, { recursive: true });
  const parts = [introduction(results)];
  for (const section of sections) {
    const chart = chartOf(section.show(figures).panels);
    parts.push(`## ${section.title}`, section.about);
    if (chart !== undefined) {
      await Deno.writeTextFile(`${directory}/${section.name}.svg`, drawChart(chart));
      parts.push(`![${section.title}](${section.name}.svg)`);
    }
    parts.push(tablesOf(section, results, figures));
  }
  await Deno.writeTextFile(`${directory}/README.md`, await formatted(joined(parts)));
  await Deno.writeTextFile(`${directory}/results.json`, JSON.stringify(results));
}

/** The tables of a section as Markdown, and the subjects that it left out. */
export function tablesOf(section: Section, results: Results, figures: Figures): string {
  const leftOut = Object.entries(results.sections[section.name].leftOut);
  return joined([
    ...section.show(figures).tables.map(toMarkdown),
    leftOut.map(([why, names]) => `- Left out: ${names.join("; ")}. Why: ${why}`).join("\n"),
  ]);
}

function joined(parts: string[]): string {
  return parts.filter((part) => part !== "").join("\n\n");
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
      `- rounds: ${rounds}, ${secondsEach} s each; in each round, everything of a section is measured once`,
      "- figures are medians, with the lowest and the highest round in parentheses; ratios are those of medians",
      `- ids received from our servers and checked: ${idsChecked.toLocaleString("en")}; none came twice`,
    ].join("\n"),
  ].join("\n\n");
}

/** A page in Markdown as `deno fmt` wants it. */
async function formatted(page: string): Promise<string> {
  const child = denoCommand({
    deno: ["fmt", "--quiet", "--ext", "md", "--line-width", "120", "-"],
    stdin: "piped",
    stdout: "piped",
  }).spawn();
  const [output] = await Promise.all([
    child.output(),
    ReadableStream.from([page]).pipeThrough(new TextEncoderStream()).pipeTo(child.stdin),
  ]);
  if (!output.success) throw new Error("deno fmt has failed for the report");
  return new TextDecoder().decode(output.stdout);
}
