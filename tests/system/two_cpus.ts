import { assert } from "@std/assert";
import { allowedCpus } from "../../lib/placement/cpus.ts";

/**
 * The first two CPUs that this process may use, which are those of a server's two workers; where there is only one CPU,
 * twice that.
 */
export async function twoCpus(): Promise<[number, number]> {
  const { cpus } = await allowedCpus();
  assert(cpus !== undefined, "taskset tells which CPUs this process may use");
  const [first, second = first] = cpus;
  return [first, second];
}
