/**
 * Asks taskset (util-linux) on which CPUs this process may run.
 *
 * @returns The CPUs' numbers, ascending; `undefined` if there is no taskset.
 */
export async function allowedCpus(): Promise<number[] | undefined> {
  try {
    const { success, stdout } = await new Deno.Command("taskset", {
      args: ["--cpu-list", "--pid", String(Deno.pid)],
      stdin: "null",
      stderr: "null",
    }).output();
    return success ? parseCpuList(new TextDecoder().decode(stdout)) : undefined;
  } catch {
    return undefined;
  }
}

/**
 * Reads the list of CPUs at the end of a line in any language, such as "pid 7's current affinity list: 0,2-4".
 *
 * @returns The CPUs' numbers; `undefined` if the line does not end with a list.
 */
export function parseCpuList(line: string): number[] | undefined {
  const list = line.match(/[0-9]+(-[0-9]+)?(,[0-9]+(-[0-9]+)?)*\s*$/)?.[0].trim();
  return list?.split(",").flatMap((range) => {
    const [first, last = first] = range.split("-").map(Number);
    return Array.from({ length: last - first + 1 }, (_, i) => first + i);
  });
}
