import { holdNode, type HoldNodeOptions, joinNode, type NodeHold } from "../../lib/node/hold_node.ts";
import type { IdLayout, ReservationStore } from "../../mod.ts";
import { HandClock } from "../id/hand_clock.ts";

/** What machines have in common. */
export interface MachineOptions {
  readonly store: ReservationStore;
  readonly layout: IdLayout;
  readonly nodeId: number;
  readonly isBehindAllowed?: boolean;
}

/**
 * A machine that can have a node: its boot, its clock, and where its pool is. Holders are named after it: `a-1`, `a-2`
 * and so on.
 */
export class Machine {
  readonly clock: HandClock;
  #boots = 1;
  #holders = 0;
  readonly #pools: Disposable[] = [];

  /**
   * @param name What it is called.
   * @param poolPath Where its pool is.
   * @param ms What its clock says.
   * @param shared What it shares with others.
   */
  constructor(
    readonly name: string,
    readonly poolPath: string,
    ms: number,
    private readonly shared: MachineOptions,
  ) {
    this.clock = new HandClock(ms);
  }

  /** By what its boot is known. */
  get boot(): string {
    return `boot-${this.name}-${this.#boots}`;
  }

  /** Boots it again. Whoever has the pool of before is not told. */
  reboot(): void {
    this.#boots++;
  }

  /** Takes hold of the node. */
  async hold(options: Partial<HoldNodeOptions> = {}): Promise<NodeHold> {
    return this.#keep(await holdNode(this.#options(options)));
  }

  /** Joins whoever holds it on this machine. */
  async join(options: Partial<HoldNodeOptions> = {}): Promise<NodeHold> {
    return this.#keep(await joinNode(this.#options(options)));
  }

  /** Unmaps all that was held. */
  [Symbol.dispose](): void {
    for (const pool of this.#pools.splice(0)) pool[Symbol.dispose]();
  }

  #keep(hold: NodeHold): NodeHold {
    this.#pools.push(hold.pool);
    return hold;
  }

  #options(options: Partial<HoldNodeOptions>): HoldNodeOptions {
    const { clock, poolPath, boot } = this;
    return {
      ...{ clock, poolPath, boot, monotonicClock: new HandClock(0), name: `${this.name}-${++this.#holders}` },
      ...{ isBehindAllowed: false, ...this.shared, ...options },
    };
  }
}
