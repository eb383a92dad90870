import type { EChartsOption } from "echarts";
import { formatNumber } from "./format.ts";

/** A part of a chart, with axes of its own. */
export interface Panel {
  /** Its quantity, with the unit. */
  title: string;
  /** Whether ten times as much is always as far away. */
  isLogarithmic?: boolean;
  categories: string[];
  /** For each category a value; `undefined`: it was not measured. */
  series: { name: string; values: (number | undefined)[] }[];
}

/** A chart, and how large it is to be drawn, in pixels. */
export interface Chart {
  option: EChartsOption;
  width: number;
  height: number;
}

const WIDTH = 900;
const TITLE_HEIGHT = 40;
const BAR_HEIGHT = 20;
const CATEGORY_GAP = 12;
const AXIS_HEIGHT = 46;
const LEGEND_HEIGHT = 34;

/** Readable side by side also for those who do not see all colours (Okabe and Ito's). */
const COLORS = ["#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00"];
const TEXT = "#222";

/** A chart of panels, one below the other. Categories without a measurement are left out. */
export function chartOf(panels: Panel[]): Chart | undefined {
  const measured = panels.map(withoutMissing).filter(({ categories }) => categories.length > 0);
  if (measured.length === 0) return undefined;
  const names = [...new Set(measured.flatMap(({ series }) => series.map(({ name }) => name)))];
  const hasLegend = names.length > 1;
  const heights = measured.map(heightOf);
  const left = labelWidth(measured.flatMap(({ categories }) => categories));
  let top = hasLegend ? LEGEND_HEIGHT : 0;
  const tops = heights.map((height) => (top += TITLE_HEIGHT + height + AXIS_HEIGHT) - height - AXIS_HEIGHT);
  return {
    width: WIDTH,
    height: top,
    option: {
      animation: false,
      // Readable on dark pages as well.
      backgroundColor: "#fff",
      color: COLORS,
      textStyle: { fontFamily: "system-ui, sans-serif", color: TEXT },
      ...hasLegend && { legend: { top: 8, itemGap: 20, data: names, textStyle: { color: TEXT } } },
      title: measured.map(({ title, isLogarithmic }, i) => ({
        text: isLogarithmic ? `${title} (logarithmic)` : title,
        left: 12,
        top: tops[i] - TITLE_HEIGHT + 8,
        textStyle: { fontSize: 14, color: TEXT },
      })),
      grid: measured.map((_, i) => ({
        left,
        right: 100,
        top: tops[i],
        height: heights[i],
      })),
      xAxis: measured.map(valueAxis),
      yAxis: measured.map(categoryAxis),
      series: measured.flatMap((panel, i) => panel.series.map((series) => seriesOf(panel, series, i, names))),
    } as EChartsOption,
  };
}

function withoutMissing(panel: Panel): Panel {
  const series = panel.series.filter(({ values }) => values.some((value) => value !== undefined));
  const isMeasured = panel.categories.map((_, i) => series.some(({ values }) => values[i] !== undefined));
  return {
    ...panel,
    categories: panel.categories.filter((_, i) => isMeasured[i]),
    series: series.map(({ name, values }) => ({ name, values: values.filter((_, i) => isMeasured[i]) })),
  };
}

function heightOf({ categories, series }: Panel): number {
  return categories.length * (series.length * BAR_HEIGHT + CATEGORY_GAP);
}

/** Room for the longest of the labels, and for numbers, in pixels. */
function labelWidth(labels: string[]): number {
  return Math.max(90, ...labels.map(({ length }) => 24 + 6.6 * length));
}

function categoryAxis({ categories }: Panel, gridIndex: number) {
  return {
    type: "category",
    gridIndex,
    data: categories,
    // Bars go from top to bottom, as the rows of a table do.
    inverse: true,
    axisTick: { show: false },
    axisLabel: { interval: 0, color: TEXT },
  };
}

function valueAxis({ isLogarithmic }: Panel, gridIndex: number) {
  return {
    type: isLogarithmic ? "log" : "value",
    gridIndex,
    splitNumber: 4,
    axisLabel: { color: TEXT, formatter: shortNumber },
  };
}

function seriesOf({ isLogarithmic }: Panel, { name, values }: Panel["series"][number], index: number, names: string[]) {
  return {
    name,
    type: "bar",
    xAxisIndex: index,
    yAxisIndex: index,
    silent: true,
    emphasis: { disabled: true },
    // A name has the same colour in all panels.
    itemStyle: { color: COLORS[names.indexOf(name) % COLORS.length] },
    barGap: "8%",
    barCategoryGap: "18%",
    label: { show: true, position: "right", color: TEXT },
    data: values.map((value) => ({
      // There is no 0 on a logarithmic axis.
      value: value === undefined || isLogarithmic && value <= 0 ? "-" : value,
      label: { formatter: value === undefined ? "" : formatNumber(value) },
    })),
  };
}

/** A round number, on an axis. */
function shortNumber(value: number): string {
  if (value >= 1e6) return `${value / 1e6} M`;
  return value >= 1e4 ? `${value / 1e3} K` : String(value);
}
