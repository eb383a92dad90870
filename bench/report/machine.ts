import { read } from "./process_stats.ts";

/** Where and when the report was made. */
export interface Machine {
  date: string;
  cpu: string;
  cpus: number;
  memoryGib: number;
  kernel: string;
  /** The governor of the CPUs' frequency, if the system tells: virtual machines mostly do not. */
  governor?: string;
  deno: string;
  /** How many processes wanted to run in the minute before: near 0 on an idle machine. */
  loadAverage: number;
}

/** Describes this machine. */
export async function describeMachine(): Promise<Machine> {
  const [governor] = await read("cat", "/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor").catch(() => []);
  const [model] = await read("grep", "-m1", "^model name", "/proc/cpuinfo").catch(() => []);
  return {
    date: new Date().toISOString(),
    cpu: model?.replace(/^.*?: /, "") ?? Deno.build.arch,
    cpus: navigator.hardwareConcurrency,
    memoryGib: Math.round(Deno.systemMemoryInfo().total / 2 ** 30),
    kernel: `${Deno.build.os} ${Deno.osRelease()}`,
    ...governor !== undefined && { governor },
    deno: Deno.version.deno,
    loadAverage: Deno.loadavg()[0],
  };
}
