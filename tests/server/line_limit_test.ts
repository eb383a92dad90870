import { assert, assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { LineLimit } from "../../lib/server/line_limit.ts";
import { HandClock } from "../id/hand_clock.ts";

/** How many lines of so many that come at once may be added. */
function admitted(limit: LineLimit, count: number): number {
  return Array.from({ length: count }, () => limit.admits()).filter((isAdmitted) => isAdmitted).length;
}

describe("LineLimit", () => {
  it("admits a hundred lines at once, and one a second after that", () => {
    const clock = new HandClock(1000);
    const limit = new LineLimit(clock);
    assertEquals(admitted(limit, 1_000_000), 100);
    clock.ms += 999;
    assertEquals(admitted(limit, 10), 0);
    clock.ms += 1;
    assertEquals(admitted(limit, 10), 1);
    for (let second = 0; second < 60; second++) {
      clock.ms += 1000;
      assertEquals(admitted(limit, 1000), 1);
    }
  });

  it("has room for no more than a hundred, however long nothing came", () => {
    const clock = new HandClock(0);
    const limit = new LineLimit(clock);
    clock.ms += 1e9;
    assertEquals(admitted(limit, 1000), 100);
  });

  it("tells once how many were left out", () => {
    const limit = new LineLimit(new HandClock(0));
    assert(limit.admits());
    assertEquals(limit.takeOmitted(), 0);
    admitted(limit, 109);
    assertEquals([limit.takeOmitted(), limit.takeOmitted()], [10, 0]);
  });
});
