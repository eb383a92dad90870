/** A table. Its rows begin with what they are about. */
export interface Table {
  columns: string[];
  /** How many columns at the beginning are text. Default: 1. */
  texts?: number;
  /** A cell that is `undefined` was not measured. */
  rows: (string | undefined)[][];
}

/**
 * A table as Markdown.
 *
 * @returns It; empty if nothing of it was measured. A row of which nothing was measured is left out.
 */
export function toMarkdown({ columns, texts = 1, rows }: Table): string {
  const measured = rows.filter(([, ...cells]) => cells.some((cell) => cell !== undefined));
  if (measured.length === 0) return "";
  const lines = [columns, columns.map((_, i) => i < texts ? ":--" : "--:"), ...measured];
  return lines.map((line) => `| ${line.map((cell) => cell ?? "").join(" | ")} |\n`).join("");
}
