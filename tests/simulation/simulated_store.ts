import { decodeReservation } from "../../lib/reservation/reservation.ts";
import type { ReservationStore } from "../../mod.ts";
import type { World } from "./world.ts";

/** A process that asks a store. */
export interface StoreClient {
  /** Whether it hears the replies. */
  readonly isAlive: boolean;
  /** Whether nothing gets through between it and the store. */
  readonly isCutOff: boolean;
}

/** How many requests get lost, and how many replies: as a rule, and where the network is bad. */
const LOSS = 0.01;
const BAD_LOSS = 0.3;

/**
 * The store of many nodes: atomic, and apart from that as bad as stores get. Requests and replies take their time, some
 * of them minutes, so that changes are made long after whoever asked for them has given up or died; either may be lost,
 * with an error or without one; and from time to time nothing gets through at all.
 */
export abstract class SimulatedStore {
  /** Whether nothing gets through. */
  isOut = false;
  /** Whether much gets lost. */
  isBad = false;

  protected records: Map<number, string> = new Map();
  protected readonly world: World;
  /** How much of what gets lost does so without an error. */
  protected readonly silence: number = 0;
  /** The holders of each node that came on record, in their order. */
  readonly #holders = new Map<number, string[]>();

  /** @param world What all of a simulation shares. */
  constructor(world: World) {
    this.world = world;
  }

  /** The store for a process, which gets no replies any more once it is dead. */
  abstract asSeenBy(process: StoreClient): ReservationStore;

  /** How many holders of a node came on record before one. */
  rankOf(nodeId: number, holder: string): number {
    return this.#holdersOf(nodeId).indexOf(holder);
  }

  /** The mark on record for a node. */
  markOf(nodeId: number): number {
    const record = this.records.get(nodeId);
    return record === undefined ? 0 : decodeReservation(record).mark;
  }

  /** Replaces the record of a node, if it is as expected, and tells whether it was. */
  protected replace(nodeId: number, expected: string | undefined, next: string): boolean {
    if (this.records.get(nodeId) !== expected) return false;
    this.records.set(nodeId, next);
    const name = nameIn(next);
    const holders = this.#holdersOf(nodeId);
    if (name !== "" && !holders.includes(name)) holders.push(name);
    return true;
  }

  /**
   * What becomes of a request of a process.
   *
   * @param process The process.
   * @param execute Does what was asked for, and replies at once or later.
   * @param stallMs How long the request is held up on its way.
   */
  protected request<T>(process: StoreClient, execute: (reply: Reply<T>) => void, stallMs = 0): Promise<T> {
    const { world } = this;
    return new Promise((resolve, reject) => {
      const fail = () => process.isAlive && reject(new TypeError("the connection was reset"));
      const lose = () => void (world.chance(this.silence) || world.after(this.#latencyMs(), fail));
      if (this.#isLost(process)) return lose();
      const reply: Reply<T> = (error, result) => {
        if (this.#isLost(process)) return lose();
        world.after(this.#latencyMs(), () => {
          if (!process.isAlive) return;
          if (error === undefined) resolve(result as T);
          else reject(error);
        });
      };
      world.after(stallMs + this.#latencyMs(), () => execute(reply));
    });
  }

  #holdersOf(nodeId: number): string[] {
    const holders = this.#holders.get(nodeId) ?? [];
    this.#holders.set(nodeId, holders);
    return holders;
  }

  #isLost(process: StoreClient): boolean {
    return !process.isAlive || this.isOut || process.isCutOff || this.world.chance(this.isBad ? BAD_LOSS : LOSS);
  }

  #latencyMs(): number {
    const { world } = this;
    return world.chance(0.002) ? world.between(1000, 60_000) : world.between(1, 20);
  }
}

/** Sends a reply: an error, or else a result. */
export type Reply<T> = (error: Error | undefined, result?: T) => void;

/** The store of a machine's own: durable. */
export class LocalStore extends SimulatedStore {
  /** The store for a process. */
  asSeenBy(process: StoreClient): ReservationStore {
    const ask = <T>(execute: () => T) => this.request<T>(process, (reply) => reply(undefined, execute()));
    return {
      isLocal: true,
      read: (nodeId) => ask(() => this.records.get(nodeId)),
      compareAndSet: (nodeId, expected, next) => ask(() => this.replace(nodeId, expected, next)),
    };
  }
}

const NAME = /"holder":"([^/"]*)/;

/** The name of the holder in a record. */
export function nameIn(record: string): string {
  return NAME.exec(record)?.[1] ?? "";
}
