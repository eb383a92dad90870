/** A number with three digits that count at least, and with commas. */
export function formatNumber(value: number): string {
  const digits = value === 0 ? 0 : Math.min(Math.max(2 - Math.floor(Math.log10(Math.abs(value))), 0), 4);
  return value.toLocaleString("en", { maximumFractionDigits: digits });
}

/** The median, and from where to where the rounds went. */
export function formatSummary(
  summary: { readonly median: number; readonly min: number; readonly max: number } | undefined,
): string | undefined {
  if (summary === undefined) return undefined;
  const [median, min, max] = [summary.median, summary.min, summary.max].map(formatNumber);
  return min === max ? median : `${median} (${min} to ${max})`;
}

/** A share as a percentage. */
export function formatShare(share: number | undefined): string | undefined {
  return share === undefined ? undefined : `${formatNumber(share * 100)} %`;
}

/** How many times the second the first is. */
export function formatRatio(value: number | undefined, reference: number | undefined): string | undefined {
  return value === undefined || !reference ? undefined : (value / reference).toFixed(2);
}
