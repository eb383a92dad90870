/**
 * Measures what a user could pick instead of this project's server, as far as it is installed, and prints a table.
 *
 *     deno run -A bench/alternatives/main.ts [seconds]
 *
 * Each line is measured for that many seconds (default: 5).
 */
import { type Alternative, type AlternativeResult, ALTERNATIVES } from "./mod.ts";

const seconds = Number(Deno.args[0] ?? 5);
if (!Number.isInteger(seconds) || seconds < 1) {
  console.error(`the number of seconds must be a positive integer: got ${Deno.args[0]}`);
  Deno.exit(2);
}

// Nothing is to be left behind when this is stopped.
const stop = new AbortController();
for (const signal of ["SIGINT", "SIGTERM"] as const) Deno.addSignalListener(signal, () => stop.abort());

console.log(
  `# CPUs: ${navigator.hardwareConcurrency}, shared by servers and load generators as the operating system likes`,
);
console.log(row("", "in flight", "ids/s", "requests/s", "p50 us", "p99 us"));
const keepers = new Map<string, string[]>();
for (const alternative of ALTERNATIVES) await print(alternative);
console.log("\nWhat each keeps when it crashes:");
for (const [what, names] of keepers) console.log([what, ...names].join("\n    "));
Deno.exit(0);

async function print(alternative: Alternative): Promise<void> {
  const missing = await alternative.missing();
  if (missing !== undefined) return console.log(`${alternative.name} is left out: ${missing}`);
  try {
    for await (const result of alternative.measure(seconds, stop.signal)) {
      console.log(rowOf(result));
      const names = keepers.get(result.what) ?? keepers.set(result.what, []).get(result.what)!;
      if (!names.includes(result.name)) names.push(result.name);
    }
  } catch (error) {
    if (stop.signal.aborted) Deno.exit(130);
    console.log(`${alternative.name} is left out: ${(error as Error).message}`);
  }
}

function rowOf({ name, inFlight, idsPerSecond, requestsPerSecond, p50Us, p99Us }: AlternativeResult): string {
  const numbers = [inFlight, idsPerSecond, requestsPerSecond, p50Us, p99Us];
  return row(name, ...numbers.map((number) => Math.round(number).toLocaleString("en")));
}

function row(name: string, ...cells: string[]): string {
  return name.padEnd(52) + cells.map((cell) => cell.padStart(14)).join("");
}
