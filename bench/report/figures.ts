import type { Panel } from "./chart.ts";
import { formatRatio, formatSummary } from "./format.ts";

/** The figures of one measurement by their names, which say their units. */
export type Sample = Record<string, number>;

/** A figure of all rounds. */
export interface Summary {
  median: number;
  min: number;
  max: number;
  /** The figure of each round. */
  rounds: number[];
}

/** All that was measured so far. */
export class Figures {
  readonly #samples = new Map<string, Sample[]>();
  readonly #rowsOf = new Map<string, Set<string>>();

  /** Adds the samples of a subject in one round, by their rows. */
  add(subject: string, samples: Record<string, Sample>): void {
    const rows = this.#rowsOf.get(subject) ?? new Set();
    this.#rowsOf.set(subject, rows);
    for (const [row, sample] of Object.entries(samples)) {
      rows.add(row);
      this.#samples.set(row, [...this.#samples.get(row) ?? [], sample]);
    }
  }

  /** The rows of a subject, in the order in which they were measured. */
  rowsOf(subject: string): string[] {
    return [...this.#rowsOf.get(subject) ?? []];
  }

  /** The names of a row's figures. */
  namesOf(row: string): string[] {
    return [...new Set(this.#samples.get(row)?.flatMap(Object.keys))];
  }

  /** A figure of a row; `undefined` if it was not measured. */
  of(row: string, name: string): Summary | undefined {
    const rounds = (this.#samples.get(row) ?? []).flatMap((sample) => sample[name] ?? []);
    if (rounds.length === 0) return undefined;
    return { median: median(rounds), min: Math.min(...rounds), max: Math.max(...rounds), rounds };
  }

  /** The median of a figure of a row; `undefined` if it was not measured. */
  median(row: string, name: string): number | undefined {
    return this.of(row, name)?.median;
  }

  /**
   * A panel of a chart, with the medians of rows.
   *
   * @param series The figures of its series, by the names of the series.
   * @param options The label of a row, by default the row itself; and whether the axis is logarithmic.
   */
  panel(
    title: string,
    rows: readonly string[],
    series: Record<string, string>,
    { label = (row: string) => row, isLogarithmic = false } = {},
  ): Panel {
    return {
      title,
      isLogarithmic,
      categories: rows.map(label),
      series: Object.entries(series).map(([name, figure]) => ({
        name,
        values: rows.map((row) => this.median(row, figure)),
      })),
    };
  }

  /** A figure of a row as the text of a cell; `undefined` if it was not measured. */
  text(row: string, name: string): string | undefined {
    return formatSummary(this.of(row, name));
  }

  /** How many times another row's median a row's median is, as the text of a cell. */
  ratio(name: string, row: string, other: string): string | undefined {
    return formatRatio(this.median(row, name), this.median(other, name));
  }
}

/** The median of at least one number. */
export function median(numbers: number[]): number {
  const sorted = numbers.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}
