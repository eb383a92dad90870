import { assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { EndOfLayout } from "../../lib/server/end_of_layout.ts";
import { LAYOUTS } from "../../mod.ts";

const DAY_MS = 86_400_000;

/** The end of the layout number: 2^32 seconds after its epoch. */
const END_MS = LAYOUTS.number.epochMs + 2 ** 32 * 1000;

/** A warner, its clocks and its lines. */
function make() {
  const lines: string[] = [];
  const [clock, monotonicClock] = [{ ms: 0, now: () => clock.ms }, { ms: 0, now: () => monotonicClock.ms }];
  const log = { info: () => {}, warn: (line: string) => lines.push(line) };
  return { lines, clock, monotonicClock, end: new EndOfLayout("number", log, { clock, monotonicClock }) };
}

describe("EndOfLayout", () => {
  it("warns from a year before the end, and not before", () => {
    const { lines, clock, end } = make();
    clock.ms = END_MS - 365 * DAY_MS - 1;
    end.warnIfNear();
    assertEquals(lines, []);
    clock.ms = END_MS - 365 * DAY_MS;
    end.warnIfNear();
    assertEquals(lines, [
      "the layout number has no ids from 2156-02-07T06:28:16.000Z on, in 365 days: move to another layout before then",
    ]);
  });

  it("warns once a day at most, however the clock is set", () => {
    const { lines, clock, monotonicClock, end } = make();
    for (const aheadMs of [0, 300 * DAY_MS, 1000]) {
      clock.ms = END_MS - 364 * DAY_MS + aheadMs;
      end.warnIfNear();
    }
    assertEquals(lines.length, 1);
    monotonicClock.ms = DAY_MS - 1;
    end.warnIfNear();
    assertEquals(lines.length, 1);
    clock.ms = END_MS - DAY_MS;
    monotonicClock.ms = DAY_MS;
    end.warnIfNear();
    assertEquals([lines.length, lines[1].match(/in .*:/)?.[0]], [2, "in 1 day:"]);
  });

  it("says nothing after the end, when the generator itself does", () => {
    const { lines, clock, end } = make();
    clock.ms = END_MS;
    end.warnIfNear();
    assertEquals(lines, []);
  });
});
