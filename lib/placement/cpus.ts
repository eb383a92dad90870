import { childEnv } from "../base/loader_variables.ts";
import { messageOf } from "../base/message_of.ts";

/** More CPUs than Linux can have. A list that names one past them is no list of CPUs. */
const MAX_CPUS = 65_536;

/** The CPUs that a server may pin its workers to, or why it can pin none. */
export type AllowedCpus =
  /** The CPUs' numbers, ascending. */
  | { readonly cpus: number[]; readonly whyNone?: undefined }
  /** Why there are none, as the end of a sentence. */
  | { readonly cpus?: undefined; readonly whyNone: string };

/**
 * Asks taskset (util-linux) on which CPUs this process may run, and tries whether taskset may choose among them, by a
 * choice that changes nothing.
 *
 * @returns The CPUs, or why there are none: no taskset, no permission to run it, or a system that refuses.
 */
export async function allowedCpus(): Promise<AllowedCpus> {
  try {
    const cpus = parseCpuList(await taskset("-cp", String(Deno.pid)));
    if (cpus === undefined) return { whyNone: "taskset does not tell which CPUs there are" };
    await taskset("-cp", cpus.join(","), String(Deno.pid));
    return { cpus };
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return { whyNone: "there is no taskset (util-linux) here" };
    return { whyNone: messageOf(error) };
  }
}

/** Runs taskset, and returns what it prints. */
async function taskset(...args: string[]): Promise<string> {
  // taskset reads nothing. Without /dev, "null" would fail as if there were no taskset: Deno opens /dev/null for it.
  const command = new Deno.Command("taskset", { args, stdin: "inherit", env: { ...childEnv(), LC_ALL: "C" } });
  const { success, stdout, stderr, signal, code } = await command.output();
  const decoder = new TextDecoder();
  if (success) return decoder.decode(stdout);
  throw new Error(
    decoder.decode(stderr).trim().split("\n")[0] || `taskset ended with ${signal ?? `exit code ${code}`}`,
  );
}

/**
 * Reads the list of CPUs at the end of a line in any language, such as "pid 7's current affinity list: 0,2-4".
 *
 * @returns The CPUs' numbers; `undefined` if the line does not end with a list.
 */
export function parseCpuList(line: string): number[] | undefined {
  const list = line.match(/[0-9]+(-[0-9]+)?(,[0-9]+(-[0-9]+)?)*\s*$/)?.[0].trim();
  const ranges = list?.split(",").map((range) => range.split("-").map(Number));
  if (ranges?.some(([first, last = first]) => first > last || last >= MAX_CPUS)) return undefined;
  return ranges?.flatMap(([first, last = first]) => Array.from({ length: last - first + 1 }, (_, i) => first + i));
}
