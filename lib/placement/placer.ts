import type { Traffic } from "../udp/reuseport.ts";
import { CpuUse } from "./cpu_use.ts";
import { Placement } from "./placement.ts";

/** How often to decide, in ms. The kernel counts CPU time in steps of 10 ms. */
const INTERVAL_MS = 500;

/** The workers to place, in the order of their home CPUs. */
export interface PlacedWorkers {
  /** Returns what each worker has received since the last call. */
  takeTraffic(): Traffic[];
  /** Makes the datagrams that arrive on a CPU a worker's: a CPU's number, or `NO_CPU`, for each worker. */
  setIncomingCpus(incomingCpus: readonly number[]): void;
}

/** Lets workers answer the datagrams of other CPUs where that is faster, until it is disposed of. */
export class Placer implements Disposable {
  readonly #workers: PlacedWorkers;
  readonly #homeCpus: readonly number[];
  readonly #placement: Placement;
  readonly #use = new CpuUse();
  readonly #timer: ReturnType<typeof setInterval>;

  /**
   * Begins to place workers.
   *
   * @param workers The workers.
   * @param homeCpus The CPU that each worker is pinned to, a different one for each.
   */
  constructor(workers: PlacedWorkers, homeCpus: readonly number[]) {
    this.#workers = workers;
    this.#homeCpus = homeCpus;
    this.#placement = new Placement(homeCpus);
    this.#timer = setInterval(() => this.#decide(), INTERVAL_MS);
  }

  #decide(): void {
    const traffic = this.#workers.takeTraffic();
    // An idle server does not read the CPUs' use, which is the larger part of the work.
    if (!this.#placement.hasMoves && traffic.every(({ messages }) => messages === 0)) return;
    const use = this.#use.read();
    this.#placement.update(this.#homeCpus.map((cpu) => use[cpu]), traffic, performance.now());
    this.#workers.setIncomingCpus(this.#placement.incomingCpus);
  }

  /** Stops placing. */
  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }
}
