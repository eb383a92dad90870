import type { SimulatedStore } from "./simulated_store.ts";

const SEQUENCE_BITS = 4;
const NODE_BITS = 10;

/** The fields of an id that are not its time. */
export const BITS = { sequenceBits: SEQUENCE_BITS, nodeBits: NODE_BITS } as const;

/** What a {@linkcode SimulatedSystem} is to be. */
export interface SimulatedSystemOptions {
  readonly store: SimulatedStore;
  /** How many node ids it has. */
  readonly nodes: number;
  /** How many of them are for whoever comes, the lowest ones; all others are somebody's own. */
  readonly anyNodes: number;
  /** How many ticks there are. */
  readonly ticks: number;
  /** Whether those who take a node trust the store never to go back. */
  readonly isTrusted: boolean;
}

/** A system of ids: one store, and node ids from 0 on. Each id that is given out is compared with all others. */
export class SimulatedSystem {
  readonly store: SimulatedStore;
  readonly nodes: number;
  readonly anyNodeIds: readonly number[];
  readonly isTrusted: boolean;
  /** How many ids each node has given out. */
  readonly given: Uint32Array;

  readonly #ticks: number;
  /** A bit for every id that there can be. */
  readonly #bits: Uint16Array;
  readonly #orders: readonly OrderLedger[];

  constructor({ store, nodes, anyNodes, ticks, isTrusted }: SimulatedSystemOptions) {
    this.store = store;
    this.nodes = nodes;
    this.anyNodeIds = Array.from({ length: anyNodes }, (_, nodeId) => nodeId);
    this.isTrusted = isTrusted;
    this.given = new Uint32Array(nodes);
    this.#ticks = ticks;
    this.#bits = new Uint16Array(nodes * ticks);
    this.#orders = Array.from({ length: nodes }, () => new OrderLedger());
  }

  /**
   * Takes note of an id that is given out, and complains about one that was given out before, is another node's, or is
   * not in order.
   *
   * @param nodeId The node that gives it out.
   * @param id The id.
   * @param rank How many holders came before its own; `undefined`: order is only promised for each worker by itself.
   */
  note(nodeId: number, id: number, rank: number | undefined): void {
    const tick = Math.floor(id / 2 ** (SEQUENCE_BITS + NODE_BITS));
    const sequence = id >>> NODE_BITS & (1 << SEQUENCE_BITS) - 1;
    if ((id & (1 << NODE_BITS) - 1) !== nodeId) {
      throw new Error(`node ${nodeId} gave out ${id}, which is another node's`);
    }
    const index = nodeId * this.#ticks + tick;
    const bit = 1 << sequence;
    if ((this.#bits[index] & bit) !== 0) {
      throw new Error(`node ${nodeId} gave out the id of tick ${tick}, sequence number ${sequence} twice`);
    }
    this.#bits[index] |= bit;
    this.given[nodeId]++;
    if (rank !== undefined && !this.#orders[nodeId].isNext(rank, id)) {
      throw new Error(`id ${id} of node ${nodeId} is lower than one that another worker has given out before`);
    }
  }
}

/**
 * Knows in which order ids are to come: each one is above all before it of its own holder and of the holders before
 * that one. (One who was displaced may have ticks left, below those of the ones after it.)
 */
class OrderLedger {
  /** The highest id up to each holder. */
  readonly #highest: number[] = [];

  /** Takes note of an id, and says whether it is in order. */
  isNext(rank: number, id: number): boolean {
    const highest = this.#highest;
    while (highest.length <= rank) highest.push(highest.at(-1) ?? -1);
    if (id <= highest[rank]) return false;
    for (let after = rank; after < highest.length && highest[after] < id; after++) highest[after] = id;
    return true;
  }
}
