import type { Panel } from "./chart.ts";
import type { Figures, Sample } from "./figures.ts";
import type { Lab } from "./lab.ts";
import type { Table } from "./table.ts";

/** A part of the report: what is measured for it, and how it is shown. */
export interface Section {
  /** The name of its chart's file, and what `--only` calls it. */
  readonly name: string;
  readonly title: string;
  /** What it shows and how it was measured, in Markdown. */
  readonly about: string;

  /**
   * What is measured for it, in this order, again in every round.
   *
   * @param isQuick Whether a few of them will do.
   */
  subjects(isQuick: boolean): Subject[];

  /** The tables and the chart. What was not measured is left out of them. */
  show(figures: Figures): { tables: Table[]; panels: Panel[] };
}

/** What is measured. */
export interface Subject {
  /** Its name. Sections that need the same subject call it the same: it is measured once, for the first of them. */
  readonly name: string;

  /**
   * Measures it once.
   *
   * @param lab Where.
   * @param figures What was measured before.
   * @returns A sample for each row of the results, by the row's name, which no other subject has.
   * @throws {LeftOutError} If something is missing here that it needs.
   * @throws {Error} If the server does what it must not do.
   */
  measure(lab: Lab, figures: Figures): Promise<Record<string, Sample>>;
}
