import { cpus } from "node:os";

/** Measures the utilization of the machine's CPUs, by all processes together. */
export class CpuUse {
  #idleMs: number[] = [];
  #readMs = -Infinity;

  /**
   * Whether the utilization of these CPUs can be measured.
   *
   * @param numbers As taskset counts them, which is how the system lists them unless some are offline or hidden.
   */
  static isKnown(numbers: readonly number[]): boolean {
    const { state } = Deno.permissions.querySync({ name: "sys", kind: "cpus" });
    return state === "granted" && Math.max(...numbers) < cpus().length;
  }

  /** Returns the share of the time since the last call in which each CPU was busy, 0 to 1; at the first call, 0. */
  read(): number[] {
    const [idleMs, nowMs] = [cpus().map(({ times }) => times.idle), performance.now()];
    const [idleBeforeMs, elapsedMs] = [this.#idleMs, nowMs - this.#readMs];
    [this.#idleMs, this.#readMs] = [idleMs, nowMs];
    if (idleBeforeMs.length === 0) return idleMs.map(() => 0);
    return idleMs.map((ms, cpu) => clampShare(1 - (ms - (idleBeforeMs[cpu] ?? ms)) / elapsedMs));
  }
}

function clampShare(share: number): number {
  return Math.min(Math.max(share, 0), 1);
}
