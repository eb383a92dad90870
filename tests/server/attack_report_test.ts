import { assert, assertEquals, assertMatch } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { COUNT, type CountName, createAccessCounts } from "../../lib/access/access_counts.ts";
import { AttackReport } from "../../lib/server/attack_report.ts";

/** A report, with a clock and counts of its own. */
function setUp() {
  const lines: string[] = [];
  const log = {
    info: (line: string) => lines.push(`info: ${line}`),
    warn: (line: string) => lines.push(`warn: ${line}`),
  };
  const totals = createAccessCounts();
  totals.fill(1e6); // of earlier servers
  let nowMs = 5000;
  const report = new AttackReport(log, totals.slice(), nowMs);

  /** Lets seconds pass, in each of which so many datagrams were turned away. */
  function pass(seconds: number, counts: Partial<Record<CountName, number>> = {}) {
    for (; seconds > 0; seconds--) {
      for (const [name, count] of Object.entries(counts)) totals[COUNT[name as CountName]] += count;
      nowMs += 1000;
      report.update(totals.slice(), nowMs);
    }
  }
  return { report, lines, totals, pass };
}

describe("AttackReport", () => {
  it("says once when an attack begins, and once when it has ended, with numbers", () => {
    const { lines, pass } = setUp();
    pass(1, { unsigned: 12_345, replayed: 3 });
    const begin = "warn: datagrams are being turned away: 12,345 not signed, 3 repeated in 1 s; " +
      "the next line about them comes when that has ended";
    assertEquals(lines, [begin]);
    pass(40, { unsigned: 30_000 });
    pass(1, { noRequest: 10 });
    pass(29);
    assertEquals(lines, [begin]);
    pass(1);
    const end = "info: in 42 s, datagrams were turned away: 1,212,345 not signed, 3 repeated, 10 no requests";
    assertEquals(lines, [begin, end]);
    pass(100);
    assertEquals(lines.length, 2);
  });

  const kinds: [CountName, string][] = [
    ["refused", "from addresses that are not allowed"],
    ["unsigned", "not signed"],
    ["replayed", "repeated"],
    ["stale", "of another time"],
    ["noRequest", "no requests"],
    ["limited", "beyond an address's share"],
    ["shed", "dropped unread"],
    ["overflowed", "dropped for lack of room"],
  ];
  for (const [name, description] of kinds) {
    it(`tells of those that are ${name}`, () => {
      const { lines, pass } = setUp();
      pass(1, { [name]: 100 });
      assertEquals(
        lines[0].slice(0, lines[0].indexOf(" in 1 s")),
        `warn: datagrams are being turned away: 100 ${description}`,
      );
    });
  }

  it("says nothing of few datagrams, of those that get ids, nor of what there was before", () => {
    const { lines, pass } = setUp();
    pass(1000, { unsigned: 49, noRequest: 50, answered: 1_000_000, ids: 2 ** 32 });
    assertEquals(lines, []);
  });

  it("takes an attack in bursts for one, and says at most 4 lines a minute", () => {
    const { lines, pass } = setUp();
    for (let i = 0; i < 100; i++) {
      pass(1, { refused: 1000 });
      pass(29);
    }
    assertEquals(lines.length, 1);
    for (let i = 0; i < 10; i++) {
      pass(1, { refused: 1000 });
      pass(30);
    }
    assertEquals(lines.length, 20);
  });

  it("counts by the time that has passed", () => {
    const { report, lines, totals } = setUp();
    totals[COUNT.refused] += 999;
    report.update(totals.slice(), 15_000);
    assertEquals(lines, []);
    totals[COUNT.refused] += 1000;
    report.update(totals.slice(), 25_000);
    assertEquals(lines.length, 1);
    assertMatch(lines[0], /: 1,000 from addresses that are not allowed in 10 s;/);
  });

  it("says at the end that it was one, if it still goes on", () => {
    const { report, lines, totals, pass } = setUp();
    report.end(totals);
    pass(3, { refused: 1000 });
    totals[COUNT.refused] += 5; // since the last update
    report.end(totals);
    report.end(totals);
    assertEquals(
      lines[1],
      "info: in 3 s, datagrams were turned away: 3,005 from addresses that are not allowed",
    );
    assertEquals(lines.length, 2);
  });

  it("survives whatever a broken worker writes to its counts", () => {
    const { lines, totals, pass } = setUp();
    for (const wrong of [NaN, Infinity, -Infinity, -5, 1e300, 0]) {
      totals[COUNT.refused] = wrong;
      pass(1);
      pass(40);
    }
    assert(lines.length <= 8, lines.join("\n"));
  });
});
