/** Of the times in /proc/PID/stat, as on every Linux that Deno runs on. */
const TICKS_PER_SECOND = 100;

/**
 * The CPU time that processes have used so far, in s, the kernel's on their behalf included; 0 for one that has ended.
 */
export async function cpuSeconds(pids: number[]): Promise<number> {
  let ticks = 0;
  for (const pid of pids) {
    const stat = await Deno.readTextFile(`/proc/${pid}/stat`).catch(() => "");
    // The second field is the program's name in parentheses, and may have spaces in it.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    ticks += Number(fields[11] ?? 0) + Number(fields[12] ?? 0);
  }
  return ticks / TICKS_PER_SECOND;
}

/**
 * The run time of each thread of some processes so far, in s: finer than {@linkcode cpuSeconds}, whose steps are 10 ms.
 */
export async function threadSeconds(pids: number[]): Promise<Map<string, number>> {
  const seconds = new Map<string, number>();
  for (const pid of pids) {
    for await (const { name } of Deno.readDir(`/proc/${pid}/task`)) {
      const schedstat = await Deno.readTextFile(`/proc/${pid}/task/${name}/schedstat`).catch(() => "0"); // it has ended
      seconds.set(name, Number(schedstat.split(" ")[0]) / 1e9);
    }
  }
  return seconds;
}

/** The memory of a process. */
export interface Memory {
  /** What is resident, in MiB, memory that it shares with others included. */
  rssMib: number;
  /**
   * How much of that is its own, in MiB: heaps and stacks, not code that is read in from a file when it is first used.
   */
  ownMib: number;
  /** The same with its share only of what it shares, in MiB. */
  pssMib: number;
}

/** The memory that a process has now. */
export async function memoryOf(pid: number): Promise<Memory> {
  const kib = async (file: string, name: string) =>
    Number((await Deno.readTextFile(`/proc/${pid}/${file}`)).match(new RegExp(`^${name}:\\s*([0-9]+) kB`, "m"))![1]);
  return {
    rssMib: await kib("status", "VmRSS") / 1024,
    ownMib: await kib("status", "RssAnon") / 1024,
    pssMib: await kib("smaps_rollup", "Pss") / 1024,
  };
}
