import { assert, assertEquals, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { checkDrift, ClockDriftError, describeClock, parseTimex, readClockSync } from "../../lib/server/clock_sync.ts";

const LITTLE_ENDIAN = true;

describe("parseTimex", () => {
  it("reads whether the clock is synchronized, and its maximal error", () => {
    const timex = new Uint8Array(208);
    const view = new DataView(timex.buffer);
    view.setBigInt64(24, 12_345n, LITTLE_ENDIAN); // maxerror, us
    view.setInt32(40, 0x2001, LITTLE_ENDIAN); // STA_PLL, STA_NANO
    assertEquals(parseTimex(timex), { isSynchronized: true, maxErrorMs: 12.345 });
    view.setInt32(40, 0x2041, LITTLE_ENDIAN); // and STA_UNSYNC
    assertEquals(parseTimex(timex), { isSynchronized: false, maxErrorMs: 12.345 });
  });
});

describe("readClockSync", () => {
  it("asks the kernel on Linux", () => {
    const sync = readClockSync();
    assertEquals(sync !== undefined, Deno.build.os === "linux");
    assert(sync === undefined || sync.maxErrorMs >= 0);
  });

  it("opens the library once: Deno keeps what it maps for the functions of each", () => {
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
});

describe("checkDrift", () => {
  it("throws if the clock may be off by more than is allowed, or nobody knows", () => {
    const sync = { isSynchronized: true, maxErrorMs: 12.3 };
    checkDrift(undefined, undefined);
    checkDrift(undefined, { ...sync, isSynchronized: false });
    checkDrift(13, sync);
    assertThrows(
      () => checkDrift(12, sync),
      ClockDriftError,
      "--max-drift 12 allows no clock that may be off by 13 ms",
    );
    assertThrows(
      () => checkDrift(99, { ...sync, isSynchronized: false }),
      ClockDriftError,
      "no clock that is not synchronized",
    );
    assertThrows(() => checkDrift(99, undefined), ClockDriftError, "no clock whose error nobody knows");
  });
});

describe("describeClock", () => {
  it("tells the maximal error, rounded up", () => {
    assertEquals(
      describeClock({ isSynchronized: true, maxErrorMs: 1.2 }),
      "the clock is synchronized, and off by at most 2 ms",
    );
  });
});
