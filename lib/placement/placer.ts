import { CpuUse } from "./cpu_use.ts";
import type { Traffic } from "../udp/reuseport.ts";
import { Placement } from "./placement.ts";

/** How often to decide, in ms: CPU time is counted in steps of 10 ms. */
const INTERVAL_MS = 500;

/** The workers that are placed, in the order of their CPUs. */
export interface PlacedWorkers {
  /** What each of them received since this was last called. */
  takeTraffic(): Traffic[];
  /** Tells each of them whose datagrams to take: the numbers of CPUs. */
  setIncomingCpus(incomingCpus: readonly number[]): void;
}

/** Has workers take what arrives on other CPUs where that is faster, until it is disposed of. */
export class Placer implements Disposable {
  readonly #cpus: readonly number[];
  readonly #placement: Placement;
  readonly #use = new CpuUse();
  readonly #timer: ReturnType<typeof setInterval>;

  /**
   * Begins.
   *
   * @param workers The workers.
   * @param cpus The CPU that each is pinned to, each another one.
   */
  constructor(private readonly workers: PlacedWorkers, cpus: readonly number[]) {
    this.#cpus = cpus;
    this.#placement = new Placement(cpus);
    this.#timer = setInterval(() => this.#decide(), INTERVAL_MS);
  }

  #decide(): void {
    const traffic = this.workers.takeTraffic();
    // Reading what the CPUs do is the work of this: nobody needs to know while nobody asks for ids.
    if (this.#placement.isHome && traffic.every(({ messages }) => messages === 0)) return;
    const use = this.#use.read();
    this.#placement.update(this.#cpus.map((cpu) => use[cpu]), traffic, performance.now());
    this.workers.setIncomingCpus(this.#placement.incomingCpus);
  }

  /** Decides no more. */
  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }
}
