/**
 * Deals ids out to workers in parts that differ by one at most, and add up to all of them.
 *
 * @param ids How many ids.
 * @param worker The number of the worker, from 0.
 * @param workers How many workers there are.
 * @returns How many are the worker's.
 */
export function partOf(ids: number, worker: number, workers: number): number {
  return Math.floor(ids / workers) + (worker < ids % workers ? 1 : 0);
}
