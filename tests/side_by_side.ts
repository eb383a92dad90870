import { it } from "@std/testing/bdd";

/** What a test is called, and what it does. */
export type TestCase = [name: string, run: () => Promise<void>];

/**
 * Declares tests that wait for most of their time. The first one that is run begins all of them, so that they wait
 * together.
 *
 * @param cases The tests, which must not get into each other's way.
 * @param atOnce How many of them are under way at a time, at most.
 */
export function itSideBySide(cases: readonly TestCase[], atOnce: number): void {
  let outcomes: Promise<void>[] | undefined;
  for (const [i, [name]] of cases.entries()) {
    it(name, () => (outcomes ??= beginAll(cases, atOnce))[i]);
  }
}

function beginAll(cases: readonly TestCase[], atOnce: number): Promise<void>[] {
  const outcomes: Promise<void>[] = [];
  for (const [i, [, run]] of cases.entries()) {
    const outcome = Promise.allSettled(outcomes.slice(i - atOnce, i - atOnce + 1)).then(run);
    outcome.catch(() => {}); // The test of this case reports it, which may not be waiting yet.
    outcomes.push(outcome);
  }
  return outcomes;
}
