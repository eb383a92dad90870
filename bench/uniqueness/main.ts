/**
 * Puts this generator and those of npm through the faults that people report, and prints which ids were given out
 * twice.
 *
 *     deno task compare:uniqueness
 *
 * Every generator runs in a real process, as its documentation shows; only the clock is not real, so that the faults
 * happen at the same instants every time. Each process has another seed for its random numbers: every run prints the
 * same table.
 */
import type { BatchResult } from "./process.ts";
import { type Fault, FAULTS, type Script } from "./faults.ts";
import { type Subject, SUBJECTS, versionOf } from "./subjects.ts";
import { runDeno } from "../../testing/deno_process.ts";
import { TempDir } from "../../testing/temp_dir.ts";

const cells = SUBJECTS.flatMap((subject) => FAULTS.map((fault) => ({ subject, fault, text: "" })));
const unmeasured = cells.values();
await Promise.all(Array.from({ length: navigator.hardwareConcurrency }, async () => {
  for (const cell of unmeasured) cell.text = await measure(cell.subject, cell.fault);
}));

printTable([
  ["generator", "version", "uniqueness rests on", ...FAULTS.map((fault) => fault.name)],
  ...SUBJECTS.map((subject) => [
    ...[subject.name, versionOf(subject), subject.guarantee],
    ...cells.filter((cell) => cell.subject === subject).map((cell) => cell.text),
  ]),
]);
console.log(`
"a of b": of b ids taken after the fault, a had been given out before. "refused": calls that threw, and the error.
"waits": until the clock had moved on by so much. "ahead": ids that tell a time later than the clock's.
`);
for (const { name, description } of FAULTS) console.log(`- ${name}: ${description}`);

/** Lets the fault happen to the generator, and returns the text of its cell. */
async function measure(subject: Subject, fault: Fault): Promise<string> {
  await using stateDir = await TempDir.make();
  const given = new Set<string>();
  const after = { taken: 0, repeated: 0, refused: 0, error: "", waitedMs: 0, aheadMs: 0 };
  for (const [i, script] of fault.scripts(subject.idsPerTick).entries()) {
    const results = await runProcess(subject, script, stateDir.path, i + 1);
    for (const [j, { ids, refused, error, waitedMs, aheadMs }] of results.entries()) {
      if (script.batches[j].isAfter) {
        after.taken += ids.length;
        after.repeated += countGiven(ids, given);
        after.refused += refused;
        after.error ||= error;
        after.waitedMs += waitedMs;
        after.aheadMs = Math.max(after.aheadMs, aheadMs);
      }
      for (const id of ids) given.add(id);
    }
  }
  return [
    after.taken > 0 ? `${after.repeated} of ${after.taken}${after.repeated > 0 ? " repeated" : ""}` : "",
    after.refused > 0 ? `${after.taken > 0 ? `${after.refused} ` : ""}refused: ${after.error}` : "",
    after.waitedMs > 0 ? `waits ${formatMs(after.waitedMs)}` : "",
    after.aheadMs > 0 ? `${formatMs(after.aheadMs)} ahead` : "",
  ].filter((part) => part !== "").join(", ");
}

/** How many of the ids were given out before, among themselves too. */
function countGiven(ids: string[], given: ReadonlySet<string>): number {
  const others = new Set(ids).difference(given);
  return ids.length - others.size;
}

/** Runs one process of a fault, and returns the outcome of each of its batches. */
async function runProcess(subject: Subject, script: Script, stateDir: string, seed: number): Promise<BatchResult[]> {
  const { code, stdout, stderr } = await runDeno({
    // To read: nodejs-snowflake loads its WebAssembly from Deno's cache.
    deno: ["run", "--quiet", "--no-prompt", `--seed=${seed}`, "--allow-read", `--allow-write=${stateDir}`],
    program: "bench/uniqueness/process.ts",
    args: [subject.name, JSON.stringify(script), stateDir],
    stdin: "null",
  });
  if (code !== 0) throw new Error(`the process of ${subject.name} failed: ${stderr}`);
  return stdout.trim().split("\n").map((line) => JSON.parse(line));
}

function formatMs(ms: number): string {
  for (const [unit, unitMs] of [["h", 3_600_000], ["min", 60_000], ["s", 1000]] as const) {
    const rounded = Math.round(ms / unitMs * 10) / 10;
    if (rounded >= 1) return `${rounded} ${unit}`;
  }
  return `${ms} ms`;
}

/** Prints rows as a Markdown table, of which the first is the head. */
function printTable(rows: string[][]): void {
  const widths = rows[0].map((_, i) => Math.max(...rows.map((row) => row[i].length)));
  const print = (row: string[]) => console.log(`| ${row.map((text, i) => text.padEnd(widths[i])).join(" | ")} |`);
  print(rows[0]);
  print(widths.map((width) => "-".repeat(width)));
  rows.slice(1).forEach(print);
}
