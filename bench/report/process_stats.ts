import { cpuTicks } from "../../testing/server_process.ts";

/** Of the times in /proc/PID/stat, as on every Linux that Deno runs on. */
const TICKS_PER_SECOND = 100;

/**
 * The CPU time that processes have used so far, in s, the kernel's on their behalf included; 0 for one that has ended.
 */
export async function cpuSeconds(pids: number[]): Promise<number> {
  const ticks = await Promise.all(pids.map(cpuTicks));
  return ticks.reduce((sum, each) => sum + each, 0) / TICKS_PER_SECOND;
}

/**
 * The run time of each thread of some processes so far, in s, by the thread's file: finer than {@linkcode cpuSeconds},
 * whose steps are 10 ms.
 */
export async function threadSeconds(pids: number[]): Promise<Map<string, number>> {
  const files = pids.map((pid) => `/proc/${pid}/task/*/schedstat`).join(" ");
  const lines = await read("sh", "-c", `grep -H "" ${files}`);
  return new Map(lines.map((line) => {
    const [file, ns] = line.split(/[: ]/);
    return [file, Number(ns) / 1e9];
  }));
}

/** The memory of a process. */
export interface Memory {
  /** Resident memory, in MiB, the memory that it shares with others included. */
  rssMib: number;
  /** How much of that is its own, in MiB: heaps and stacks, not code that is read from a file when it is first used. */
  ownMib: number;
  /** Resident memory with only its share of the memory that it shares, in MiB. */
  pssMib: number;
}

/** The memory that a process has now. */
export async function memoryOf(pid: number): Promise<Memory> {
  const lines = await read("grep", "-hE", "^(VmRSS|RssAnon|Pss):", `/proc/${pid}/status`, `/proc/${pid}/smaps_rollup`);
  const mib = Object.fromEntries(lines.map((line) => {
    const [name, kib] = line.split(/:?\s+/);
    return [name, Number(kib) / 1024];
  }));
  return { rssMib: mib.VmRSS, ownMib: mib.RssAnon, pssMib: mib.Pss };
}

/** Reads files of /proc, which Deno itself does only with every permission, and returns their lines. */
export async function read(program: string, ...args: string[]): Promise<string[]> {
  const { stdout } = await new Deno.Command(program, { args, stdin: "null", stderr: "null" }).output();
  return new TextDecoder().decode(stdout).split("\n").filter((line) => line !== "");
}
