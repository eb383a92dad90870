import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { IdLedger } from "../report/id_ledger.ts";
import type { Results } from "../report/results.ts";
import { type DenoOutput, runDeno } from "../../testing/deno_process.ts";
import { TempDir } from "../../testing/temp_dir.ts";

const SECTIONS = [
  ...["replies", "ranges", "in_process", "client", "balance", "access", "idle", "restart", "soak", "alternatives"],
];

/** Figures that cannot be 0. */
const POSITIVE = /PerSecond$|^nsPer|Ms$|RssMib$|PssMib$|^p[0-9]+Us$/;

/** An SVG that is larger than this, in bytes, is too large for a page. */
const MAX_CHART_BYTES = 40_000;

/** Runs the report as a user does. */
function report(...args: string[]): Promise<DenoOutput> {
  return runDeno({ deno: ["task", "--quiet", "bench:report", ...args] });
}

describe("the report of the benchmarks", () => {
  it("has figures, a table and a chart for every section, or says what is missing for it", async () => {
    await using directory = await TempDir.make();
    const out = `${directory.path}/results`;
    const { code, stderr } = await report("--quick", "--out", out);
    assertEquals(code, 0, stderr);

    const results: Results = JSON.parse(await Deno.readTextFile(`${out}/results.json`));
    const page = await Deno.readTextFile(`${out}/README.md`);
    assertEquals(Object.keys(results.sections), SECTIONS);
    for (const [name, { title, leftOut, rows }] of Object.entries(results.sections)) {
      assertStringIncludes(page, `## ${title}\n`);
      for (const [row, figures] of Object.entries(rows)) {
        const positive = Object.entries(figures).filter(([figure]) => POSITIVE.test(figure));
        assert(positive.length > 0, `${name}: ${row} has no figures`);
        for (const [figure, { median }] of positive) assert(median > 0, `${name}: ${row}: ${figure} is ${median}`);
      }
      if (Object.keys(rows).length === 0) {
        assert(Object.keys(leftOut).length > 0, `${name} has no figures, and says nothing about it`);
        continue;
      }
      assertStringIncludes(page, `](${name}.svg)`);
      const chart = await Deno.readTextFile(`${out}/${name}.svg`);
      assert(chart.startsWith("<svg ") && chart.length < MAX_CHART_BYTES, `${name}: ${chart.length} bytes`);
    }
    const reasons = Object.values(results.sections).flatMap(({ leftOut }) => Object.keys(leftOut));
    assertEquals(page.match(/\bWhy: /g)?.length ?? 0, reasons.length);
    if (Object.keys(results.sections.replies.rows).length > 0) assert(results.idsChecked > 0);
  });

  it("does not begin with a command line that is wrong", async () => {
    const { code, stderr } = await report("--only", "replies,nothing");
    assertEquals(code, 2);
    assertStringIncludes(stderr, `there is no section "nothing"`);
  });
});

describe("the ledger of the benchmarks", () => {
  it("takes ids and ranges that are new, and counts them", () => {
    const ledger = new IdLedger(4n);
    ledger.addIds(BigUint64Array.of(16n, 4n, 8n));
    ledger.addIds(BigUint64Array.of(12n, 40n));
    ledger.addRanges(BigUint64Array.of(32n, 4n, 2n, 20n, 4n, 3n));
    assertEquals(ledger.count, 10);
    assertEquals(ledger.ranges(), BigUint64Array.of(4n, 4n, 10n));
  });

  for (
    const [what, id, add] of [
      ["in one batch", 8n, (ledger) => ledger.addIds(BigUint64Array.of(8n, 4n, 8n))],
      ["in a later batch", 104n, (ledger) => ledger.addIds(BigUint64Array.of(104n))],
      ["in a range over it", 100n, (ledger) => ledger.addRanges(BigUint64Array.of(80n, 4n, 100n))],
      ["in a range that ends in it", 100n, (ledger) => ledger.addRanges(BigUint64Array.of(92n, 4n, 3n))],
      ["in a range that begins in it", 116n, (ledger) => ledger.addRanges(BigUint64Array.of(116n, 4n, 9n))],
      ["in two ranges", 24n, (ledger) => ledger.addRanges(BigUint64Array.of(4n, 4n, 6n, 24n, 4n, 2n))],
    ] as [string, bigint, (ledger: IdLedger) => void][]
  ) {
    it(`names an id that comes twice: ${what}`, () => {
      const ledger = new IdLedger(4n);
      ledger.addRanges(BigUint64Array.of(100n, 4n, 5n));
      assertThrows(() => add(ledger), Error, `an id was given out twice: ${id}`);
    });
  }

  it("refuses a range whose ids are another node's", () => {
    assertThrows(() => new IdLedger(4n).addRanges(BigUint64Array.of(4n, 2n, 3n)), Error, "2 apart, not 4");
  });
});
