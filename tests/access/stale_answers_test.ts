import { assert, assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { STALE_BURST, STALE_PER_SECOND, StaleAnswers } from "../../lib/access/stale_answers.ts";

const START_MS = 1_700_000_000_000;

/** How many of so many new requests are answered at a time. */
function answersTo(count: number, answers: StaleAnswers, nowMs: number, firstMac = 0): number {
  let answered = 0;
  for (let i = 0; i < count; i++) if (answers.take(firstMac + i, 2 * i, nowMs)) answered++;
  return answered;
}

describe("StaleAnswers", () => {
  it("remembers what was answered, and only that", () => {
    const answers = new StaleAnswers();
    assert(!answers.has(1, 2));
    assert(answers.take(1, 2, START_MS));
    assert(answers.has(1, 2));
    assert(!answers.has(1, 4));
    answersTo(STALE_BURST, answers, START_MS, 100);
    assert(!answers.take(3, 4, START_MS));
    assert(!answers.has(3, 4), "the request was not answered, so it may be when it comes again");
  });

  it("answers a burst, then so many a second", () => {
    const answers = new StaleAnswers();
    assertEquals(answersTo(2 * STALE_BURST, answers, START_MS), STALE_BURST);
    assertEquals(answersTo(100, answers, START_MS + 10), STALE_PER_SECOND / 100);
    for (let second = 1; second <= 5; second++) {
      assertEquals(answersTo(2 * STALE_PER_SECOND, answers, START_MS + 10 + second * 1000), STALE_PER_SECOND);
    }
    assertEquals(answersTo(2 * STALE_BURST, answers, START_MS + 3_600_000), STALE_BURST, "no more than a burst");
  });

  it("answers no more when the clock steps back, and goes on from there", () => {
    const answers = new StaleAnswers();
    answersTo(STALE_BURST, answers, START_MS);
    assertEquals(answersTo(10, answers, START_MS - 3_600_000), 0);
    assertEquals(answersTo(10, answers, START_MS - 3_600_000 + 5), 5 * STALE_PER_SECOND / 1000);
  });

  it("forgets a request only after as many others as its capacity", () => {
    const answers = new StaleAnswers(64);
    answers.take(1, 1, START_MS);
    for (let i = 1; i <= 64; i++) {
      assert(answers.has(1, 1), `after ${i - 1} others`);
      answers.take(1000 + i, 1, START_MS);
    }
    answersTo(64, answers, START_MS, 2000);
    assert(!answers.has(1, 1));
  });
});
