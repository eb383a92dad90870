import { cpus } from "node:os";

/** How much the machine's CPUs do, whoever has them do it. */
export class CpuUse {
  #idleMs: number[] = [];
  #readMs = -Infinity;

  /**
   * Whether it can be told of these CPUs.
   *
   * @param numbers As taskset counts them, which is how they are listed unless some are offline or hidden.
   */
  static isKnown(numbers: readonly number[]): boolean {
    const { state } = Deno.permissions.querySync({ name: "sys", kind: "cpus" });
    return state === "granted" && Math.max(...numbers) < cpus().length;
  }

  /** The share of the time since the last call in which each CPU was not idle, 0 to 1; the first time, 0. */
  read(): number[] {
    const [idleMs, nowMs] = [cpus().map(({ times }) => times.idle), performance.now()];
    const [beforeMs, elapsedMs] = [this.#idleMs, nowMs - this.#readMs];
    [this.#idleMs, this.#readMs] = [idleMs, nowMs];
    return idleMs.map((ms, cpu) => Math.min(Math.max(1 - (ms - (beforeMs[cpu] ?? ms)) / elapsedMs, 0), 1))
      .map((share) => beforeMs.length === 0 ? 0 : share);
  }
}
