import { assert, assertEquals, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { Freshness, MAX_AGE_MS, MAX_REQUEST_AHEAD_MS, ReplayWindow } from "../../lib/access/replay_window.ts";
import { Random } from "./random.ts";

const { FRESH, SEEN, STALE } = Freshness;
const START_MS = 1_000_000;

/** A window that was made so long ago that its beginning no longer matters, and the time now. */
function openWindow(capacity?: number) {
  return { window: new ReplayWindow(START_MS, capacity), now: START_MS + MAX_AGE_MS + MAX_REQUEST_AHEAD_MS + 1 };
}

describe("ReplayWindow", () => {
  it("admits a request once", () => {
    const { window, now } = openWindow();
    assertEquals(window.admit(1, 2, now, now), FRESH);
    for (const later of [0, 1, MAX_AGE_MS, MAX_AGE_MS + 1, 3_600_000]) {
      assertEquals(window.admit(1, 2, now, now + later), SEEN);
    }
    assertEquals(window.admit(1, 4, now, now + MAX_AGE_MS + 1), STALE);
  });

  it("tells requests apart by 63 bits of their MACs", () => {
    const { window, now } = openWindow();
    assertEquals(window.admit(0, 0, now, now), FRESH);
    for (let bit = 0; bit < 32; bit++) {
      const word = (1 << bit) >>> 0;
      assertEquals(window.admit(word, 0, now, now), FRESH);
      assertEquals(window.admit(0, word, now, now), bit === 0 ? SEEN : FRESH);
    }
    assertEquals(window.admit(0, 0, now, now), SEEN);
  });

  it("admits requests from half a minute old to a second ahead", () => {
    const { window, now } = openWindow();
    assertEquals(window.admit(1, 0, now - MAX_AGE_MS - 1, now), STALE);
    assertEquals(window.admit(1, 0, now - MAX_AGE_MS, now), FRESH);
    assertEquals(window.admit(2, 0, now + MAX_REQUEST_AHEAD_MS, now), FRESH);
    assertEquals(window.admit(3, 0, now + MAX_REQUEST_AHEAD_MS + 1, now), STALE);
    for (const time of [0, 2 ** 53, 2 ** 64 - 1]) assertEquals(window.admit(4, 0, time, now), STALE);
  });

  it("refuses requests that an earlier process may have admitted", () => {
    const before = new ReplayWindow(START_MS - 100_000);
    const window = new ReplayWindow(START_MS);
    for (let time = START_MS - MAX_AGE_MS; time <= START_MS + MAX_REQUEST_AHEAD_MS; time += 100) {
      assertEquals(before.admit(time, 0, time, START_MS), FRESH);
      for (const later of [0, 500, MAX_REQUEST_AHEAD_MS, MAX_AGE_MS]) {
        assertEquals(window.admit(time, 0, time, START_MS + later), STALE);
      }
    }
  });

  it("tells a time that it admits at once, also right after it was made", () => {
    for (const later of [0, 1, 999, 1000, 1001, 5000, 100_000]) {
      const window = new ReplayWindow(START_MS);
      const now = START_MS + later;
      assertEquals(window.freshTimeMs(now), Math.max(now, START_MS + MAX_REQUEST_AHEAD_MS + 1));
      // By the time that a client has sent its request again, at least a millisecond is gone.
      assertEquals(window.admit(1, 0, window.freshTimeMs(now), now + 1), FRESH);
    }
  });

  it("tells a time too far ahead to be admitted after the clock has stepped back", () => {
    const window = new ReplayWindow(START_MS);
    const now = START_MS - 5000;
    assertEquals(window.freshTimeMs(now) - now - MAX_REQUEST_AHEAD_MS, 5001);
    for (const time of [now, now + MAX_REQUEST_AHEAD_MS, window.freshTimeMs(now)]) {
      assertEquals(window.admit(1, 0, time, now), STALE);
    }
  });

  it("remembers as many requests as its capacity, and refuses the forgotten ones by their time", () => {
    for (const capacity of [1, 2, 4, 64, 1024]) {
      const { window, now } = openWindow(capacity);
      const random = new Random(capacity);
      const requests = Array.from({ length: 5 * capacity }, () => [random.word(), random.word()]);
      for (let i = 0; i < requests.length; i++) {
        const [high, low] = requests[i];
        assertEquals(window.admit(high, low, now + i, now + i), FRESH);
      }
      const later = now + requests.length;
      let stale = 0;
      for (let i = 0; i < requests.length; i++) {
        const [high, low] = requests[i];
        const freshness = window.admit(high, low, now + i, later);
        assert(freshness !== FRESH);
        if (freshness === STALE) stale++;
        else assert(stale <= i);
        if (i >= 4 * capacity) assertEquals(freshness, SEEN);
      }
      assert(stale >= 3 * capacity, "it remembers no more than twice its capacity");
    }
  });

  it("admits no request twice, and always one with the time that it tells, at any clock and request", () => {
    for (let seed = 0; seed < 100; seed++) {
      const random = new Random(seed);
      const capacity = 1 << random.below(6);
      let now = START_MS;
      let window = new ReplayWindow(now, capacity);
      const passed = new Map<string, number>();
      const sent: [number, number, number][] = [];
      for (let i = 0; i < 1000; i++) {
        const what = random.below(100);
        if (what < 50) now += random.below(50);
        else if (what < 52) now += random.below(2 * MAX_AGE_MS);
        else if (what < 53) now -= random.below(2000);
        else if (what < 54) {
          // Another process, on a clock that was not set back.
          now = Math.max(now, ...passed.values()) + random.below(3);
          window = new ReplayWindow(now, capacity);
        }
        if (what < 70 || sent.length === 0) {
          // Words of few bits, so that many begin in the same place.
          sent.push([random.below(4), 2 * i, now - MAX_AGE_MS / 2 + random.below(MAX_AGE_MS)]);
        }
        const [high, low, time] = sent[random.below(3) === 0 ? sent.length - 1 : random.below(sent.length)];
        const freshness = window.admit(high, low, time, now);
        if (freshness === FRESH) {
          assert(!passed.has(`${high} ${low}`), `seed ${seed}: request ${low / 2} passed twice`);
          passed.set(`${high} ${low}`, now);
        } else if (freshness === SEEN) {
          assert(passed.has(`${high} ${low}`), `seed ${seed}: request ${low / 2} was never seen`);
        }
        const freshTime = window.freshTimeMs(now);
        if (freshTime <= now + MAX_REQUEST_AHEAD_MS && random.below(10) === 0) {
          assertEquals(window.admit(random.below(4), 2 * (i + 1_000_000), freshTime, now), FRESH);
        }
      }
    }
  });

  it("refuses a wrong capacity", () => {
    assertThrows(() => new ReplayWindow(0, 0), RangeError, "capacity must be an integer from 1 to 33554432: got 0");
    assertThrows(() => new ReplayWindow(0, 1000), RangeError, "capacity must be a power of 2: got 1000");
  });
});
