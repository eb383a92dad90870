import { init } from "echarts";
import type { Chart } from "./chart.ts";

/**
 * Draws a chart.
 *
 * @returns It as SVG: the same text for the same chart, with nothing in it that is meant for a mouse.
 */
export function drawChart({ option, width, height }: Chart): string {
  const chart = init(null, null, { renderer: "svg", ssr: true, width, height });
  try {
    chart.setOption(option);
    return chart.renderToSVGString()
      .replace(/<style[^]*?<\/style>\n*/g, "")
      .replaceAll(/ (class|ecmeta_[a-z_]+|pointer-events)="[^"]*"/g, "")
      // Elsewhere, what refers to a part of the picture has the number of the chart in it.
      .replaceAll(/\bzr[0-9]+-/g, "zr-");
  } finally {
    chart.dispose();
  }
}
