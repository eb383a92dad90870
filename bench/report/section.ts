import type { Panel } from "./chart.ts";
import type { Figures, Sample } from "./figures.ts";
import type { Lab } from "./lab.ts";
import type { Table } from "./table.ts";

/** A part of the report: its measurements, and the tables and the chart that show them. */
export interface Section {
  /** The name of its chart's file, and its name for `--only`. */
  readonly name: string;
  readonly title: string;
  /** The content of its tables and how that was measured, in Markdown. */
  readonly about: string;

  /**
   * Its measurements, in this order, again in every round.
   *
   * @param isQuick Whether a few of them will do.
   */
  subjects(isQuick: boolean): Subject[];

  /** The tables and the panels of the chart. Rows without a measurement are left out of both. */
  show(figures: Figures): { tables: Table[]; panels: Panel[] };
}

/** A measurement. */
export interface Subject {
  readonly name: string;

  /**
   * Measures it once.
   *
   * @param lab Where.
   * @param figures The figures of the subjects before.
   * @returns A sample for each row of the results, by the row's name, which no other subject has.
   * @throws {LeftOutError} If the machine lacks something that it needs.
   * @throws {Error} If the server does what it must not do.
   */
  measure(lab: Lab, figures: Figures): Promise<Record<string, Sample>>;
}

/** A subject with one row, of the same name. */
export function subject(name: string, measure: (lab: Lab, figures: Figures) => Promise<Sample>): Subject {
  return { name, measure: async (lab, figures) => ({ [name]: await measure(lab, figures) }) };
}
