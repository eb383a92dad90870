/** A table. Its rows begin with their subject. */
export interface Table {
  columns: string[];
  /** How many columns at the beginning are text. Default: 1. */
  texts?: number;
  /** A cell that is `undefined` was not measured. */
  rows: (string | undefined)[][];
}

/** The cells of a table by the heads of their columns: each is made from a row's name or key. */
export type Columns<Row> = Record<string, (row: Row) => string | undefined>;

/** A table of cells that are made from their rows; the first column has one of its own, whose head may be empty. */
export function tableOf<Row>(rows: readonly Row[], columns: Columns<Row>, texts = 1): Table {
  return {
    columns: Object.keys(columns),
    texts,
    rows: rows.map((row) => Object.values(columns).map((cell) => cell(row))),
  };
}

/**
 * A table as Markdown.
 *
 * @returns It; empty if nothing of it was measured. A row of which nothing was measured is left out.
 */
export function toMarkdown({ columns, texts = 1, rows }: Table): string {
  const measured = rows.filter((cells) => cells.slice(texts).some((cell) => cell !== undefined));
  if (measured.length === 0) return "";
  const lines = [columns, columns.map((_, i) => i < texts ? ":--" : "--:"), ...measured];
  return lines.map((line) => `| ${line.map((cell) => cell ?? "").join(" | ")} |\n`).join("");
}
