import { assert, assertEquals, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { checkDrift, describeClock, parseTimex, readClockSync } from "../../lib/server/clock_sync.ts";

describe("the clock's synchronization", () => {
  it("is read from what adjtimex writes", () => {
    const timex = new Uint8Array(208);
    const view = new DataView(timex.buffer);
    view.setBigInt64(24, 12_345n, true); // maxerror, us
    view.setInt32(40, 0x2001, true); // STA_PLL, STA_NANO
    assertEquals(parseTimex(timex), { isSynchronized: true, maxErrorMs: 12.345 });
    view.setInt32(40, 0x2041, true); // and STA_UNSYNC
    assertEquals(parseTimex(timex), { isSynchronized: false, maxErrorMs: 12.345 });
  });

  it("can be asked for", () => {
    const sync = readClockSync();
    assertEquals(sync !== undefined, Deno.build.os === "linux");
    assert(sync === undefined || sync.maxErrorMs >= 0);
  });

  it("is asked for through a library that is opened once: what Deno makes for its functions stays mapped", () => {
    readClockSync();
    const { dlopen } = Deno;
    let opened = 0;
    try {
      Object.assign(Deno, { dlopen: (...args: Parameters<typeof dlopen>) => (opened++, dlopen(...args)) });
      for (let i = 0; i < 3; i++) readClockSync();
    } finally {
      Object.assign(Deno, { dlopen });
    }
    assertEquals(opened, 0);
  });

  it("is good enough, or is refused", () => {
    const sync = { isSynchronized: true, maxErrorMs: 12.3 };
    checkDrift(undefined, undefined);
    checkDrift(undefined, { ...sync, isSynchronized: false });
    checkDrift(13, sync);
    assertThrows(() => checkDrift(12, sync), Error, "--max-drift 12 allows no clock that may be off by 13 ms");
    assertThrows(() => checkDrift(99, { ...sync, isSynchronized: false }), Error, "no clock that is not synchronized");
    assertThrows(() => checkDrift(99, undefined), Error, "no clock whose error nobody knows");
  });

  it("is told in words", () => {
    assertEquals(
      describeClock({ isSynchronized: true, maxErrorMs: 1.2 }),
      "the clock is synchronized, and off by at most 2 ms",
    );
  });
});
