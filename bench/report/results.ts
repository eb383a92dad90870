import type { Figures, Summary } from "./figures.ts";
import type { Machine } from "./machine.ts";
import type { Section } from "./section.ts";

/** All results, in the form of `results.json`. */
export interface Results {
  machine: Machine;
  rounds: number;
  secondsEach: number;
  isQuick: boolean;
  /** How many ids were received from this project's servers; had one of them come twice, there would be no report. */
  idsChecked: number;
  /** By their names. */
  sections: Record<string, SectionResults>;
}

/** The results of a section. */
export interface SectionResults {
  title: string;
  /** Subjects that could not be measured here, by the reason. */
  leftOut: Record<string, string[]>;
  /** Figures by row, then by name. */
  rows: Record<string, Record<string, Summary>>;
}

/** The figures of a section. */
export function rowsOf(section: Section, isQuick: boolean, figures: Figures): SectionResults["rows"] {
  const rows = section.subjects(isQuick).flatMap(({ name }) => figures.rowsOf(name));
  return Object.fromEntries(rows.map((row) => {
    const summaries = figures.namesOf(row).flatMap((name) => {
      const summary = figures.of(row, name);
      return summary === undefined ? [] : [[name, rounded(summary)]];
    });
    return [row, Object.fromEntries(summaries)];
  }));
}

/** Six digits are more than any figure is worth. */
function rounded({ median, min, max, rounds }: Summary): Summary {
  const round = (value: number) => Number(value.toPrecision(6));
  return { median: round(median), min: round(min), max: round(max), rounds: rounds.map(round) };
}
