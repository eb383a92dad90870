/** Where and when the report was made. */
export interface Machine {
  date: string;
  cpu: string;
  cpus: number;
  memoryGib: number;
  kernel: string;
  /** What sets the CPUs' frequency, if the system says so: virtual machines mostly do not. */
  governor?: string;
  deno: string;
  /** How many processes wanted to run in the minute before: near 0 on a machine that has nothing else to do. */
  loadAverage: number;
}

/** Describes this machine. */
export async function describeMachine(): Promise<Machine> {
  const governor = await textOf("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor");
  const cpu = (await textOf("/proc/cpuinfo"))?.match(/^model name\s*: (.*)$/m)?.[1];
  return {
    date: new Date().toISOString(),
    cpu: cpu ?? Deno.build.arch,
    cpus: navigator.hardwareConcurrency,
    memoryGib: Math.round(Deno.systemMemoryInfo().total / 2 ** 30),
    kernel: `${Deno.build.os} ${Deno.osRelease()}`,
    ...governor !== undefined && { governor: governor.trim() },
    deno: Deno.version.deno,
    loadAverage: Deno.loadavg()[0],
  };
}

async function textOf(path: string): Promise<string | undefined> {
  try {
    return await Deno.readTextFile(path);
  } catch {
    return undefined;
  }
}
