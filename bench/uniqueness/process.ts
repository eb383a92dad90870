/**
 * One process of the uniqueness comparison: makes a generator under a clock of its own, takes ids as its script says,
 * and prints the ids that it got, a batch a line of JSON.
 *
 * Arguments: the subject's name, the script as JSON, and the directory that the processes of the fault share.
 */
import { CompareClock } from "./clock.ts";
import type { Batch, Script } from "./faults.ts";
import { type IdSource, subjectNamed } from "./subjects.ts";

/** The outcome of a batch. */
export interface BatchResult {
  /** The ids, as text, in the order in which they came. */
  ids: string[];
  /** How many calls failed, and the error of the first. */
  refused: number;
  error: string;
  /** How long the calls waited for the clock, in ms; the first batch includes the making of the generator. */
  waitedMs: number;
  /** How far the time that the ids tell is ahead of the clock, in ms, at most; 0 if it is not. */
  aheadMs: number;
}

if (import.meta.main) {
  const [name, script, stateDir] = Deno.args;
  const { nodeId, startMs, batches }: Script = JSON.parse(script);
  const clock = new CompareClock(startMs);
  clock.install();
  const made = subjectNamed(name).make({ nodeId, stateDir });
  await clock.settle(made).catch(() => {}); // Every batch says so.
  for (const batch of batches) console.log(JSON.stringify(await take(batch, made, clock)));
  Deno.exit(0);
}

async function take({ atMs, isSet, count }: Batch, made: Promise<IdSource>, clock: CompareClock): Promise<BatchResult> {
  if (isSet) clock.set(atMs);
  else await clock.goTo(atMs);
  const result: BatchResult = { ids: [], refused: 0, error: "", waitedMs: 0, aheadMs: 0 };
  const call = async (source: IdSource) => {
    clock.beginCall();
    try {
      const given = source.next();
      // An id that is there at once is noted at once, before the next call can move the clock on.
      const id = given instanceof Promise ? await given : given;
      result.ids.push(String(id));
      result.aheadMs = Math.max(result.aheadMs, (source.timestampOf?.(id) ?? 0) - clock.nowMs);
    } catch (error) {
      refuse(error, 1);
    }
  };
  const refuse = (error: unknown, calls: number) => {
    result.refused += calls;
    result.error ||= shortError(error);
  };
  try {
    const source = await made;
    // Calls that wait are under way at once, as those of a server's requests are.
    await clock.settle(Promise.all(Array.from({ length: count }, () => call(source))));
  } catch (error) {
    refuse(error, count - result.ids.length - result.refused);
  }
  result.waitedMs = clock.waitedMs;
  clock.waitedMs = 0;
  return result;
}

/** The name of an error that has one of its own, and the beginning of its message otherwise. */
function shortError(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (!["Error", "RangeError", "TypeError"].includes(error.name)) return error.name;
  const [sentence] = error.message.split(/[.:(]/, 1);
  return sentence.length > 40 ? `${sentence.slice(0, 40).trimEnd()}…` : sentence;
}
