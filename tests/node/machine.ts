import { holdNode, type HoldNodeOptions, joinNode, type NodeHold } from "../../lib/node/hold_node.ts";
import type { IdLayout, ReservationStore } from "../../mod.ts";
import { HandClock } from "../id/hand_clock.ts";

/** The options that machines share. */
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

  /** The name of the machine. */
  readonly name: string;
  /** Where its pool is. */
  readonly poolPath: string;
  /** The options that it shares with other machines. */
  private readonly shared: MachineOptions;

  /**
   * @param name The name of the machine.
   * @param poolPath Where its pool is.
   * @param ms The time of its clock, in ms.
   * @param shared The options that it shares with other machines.
   */
  constructor(name: string, poolPath: string, ms: number, shared: MachineOptions) {
    this.name = name;
    this.poolPath = poolPath;
    this.shared = shared;
    this.clock = new HandClock(ms);
  }

  /** By what its boot is known. */
  get boot(): string {
    return `boot-${this.name}-${this.#boots}`;
  }

  /** Boots the machine again. Holders of an earlier boot are not told. */
  reboot(): void {
    this.#boots++;
  }

  /** Holds the node. */
  async hold(options: Partial<HoldNodeOptions> = {}): Promise<NodeHold> {
    return this.#keep(await holdNode(this.#options(options)));
  }

  /** Joins the server that holds the node on this machine. */
  async join(options: Partial<HoldNodeOptions> = {}): Promise<NodeHold> {
    return this.#keep(await joinNode(this.#options(options)));
  }

  /** Unmaps all pools. */
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
      sleep: () => Promise.resolve(),
      ...{ isBehindAllowed: false, ...this.shared, ...options },
    };
  }
}
