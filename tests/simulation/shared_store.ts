import { nameIn, SimulatedStore } from "./simulated_store.ts";
import type { World } from "./world.ts";

/** How often a shared store notes a state that it may go back to, and for how long, in ms. */
const SNAPSHOT_EVERY_MS = 2000;
const SNAPSHOTS_FOR_MS = 600_000;

/** A state that a store was in. */
interface Snapshot {
  readonly atMs: number;
  readonly revision: number;
  readonly records: ReadonlyMap<number, string>;
}

/** What shared stores have met with. */
export interface StoreFaults {
  /** How often the record of a node has gone back, or was lost. */
  goneBack: number;
  /** How often a change that was asked for again found that it was made already. */
  foundMade: number;
  /** How often a change was made with the warning that it may be lost. */
  warned: number;
  /** How often a record was lost that others had seen, and that had never been acknowledged. */
  unkept: number;
}

/** A store that machines share: it tells its time, and goes back to earlier states, and loses records. */
export abstract class SharedStore extends SimulatedStore {
  /** What it has met with. */
  readonly faults: StoreFaults;

  protected override readonly silence: number = 0.5;
  /** Grows with every change, but for a restore. */
  protected revision = 1;
  readonly #startMs: number;
  readonly #snapshots: Snapshot[] = [];

  /**
   * @param world What all of a simulation shares.
   * @param startMs What right clocks say when the simulation begins.
   * @param faults Where it counts what it meets with.
   */
  constructor(world: World, startMs: number, faults: StoreFaults) {
    super(world);
    this.#startMs = startMs;
    this.faults = faults;
    this.#keepSnapshots();
  }

  /** The time by right clocks, in ms since the Unix epoch. */
  protected get timeMs(): number {
    return this.#startMs + this.world.nowMs;
  }

  /**
   * Goes back to an earlier state, mostly one of the last seconds, or loses records.
   *
   * @param isOvertime Whether a holder is there that was cut off for longer than its reservation. If another one has
   * taken the node, and the record of the first one came back, that one would go on: the one case that is not covered.
   * So that record stays as it is.
   */
  goBack(isOvertime: (nodeId: number, holder: string) => boolean): void {
    const { world } = this;
    const isLoss = world.chance(0.3);
    const ageMs = world.chance(0.7) ? world.between(0, 10_000) : world.between(0, SNAPSHOTS_FOR_MS);
    const { records, revision } = this.#snapshots.findLast(({ atMs }) => atMs <= world.nowMs - ageMs) ??
      { records: new Map(), revision: 1 };
    for (const [nodeId, present] of [...this.records]) {
      if (!world.chance(isLoss ? 0.1 : 0.95)) continue;
      const before = isLoss ? undefined : records.get(nodeId);
      if (before === present) continue;
      if (before !== undefined && nameIn(before) !== nameIn(present) && isOvertime(nodeId, nameIn(before))) continue;
      if (before === undefined) this.records.delete(nodeId);
      else this.records.set(nodeId, before);
      this.faults.goneBack++;
    }
    this.revision = isLoss ? this.revision + 1 : revision;
    if (!isLoss) this.beRestored();
  }

  /** Begins another history, or goes on with the present one. */
  protected abstract beRestored(): void;

  protected override replace(nodeId: number, expected: string | undefined, next: string): boolean {
    const isMade = super.replace(nodeId, expected, next);
    if (isMade) this.revision++;
    return isMade;
  }

  #keepSnapshots(): void {
    const { world, revision, records } = this;
    this.#snapshots.push({ atMs: world.nowMs, revision, records: new Map(records) });
    if (this.#snapshots[0].atMs < world.nowMs - SNAPSHOTS_FOR_MS) this.#snapshots.shift();
    world.after(SNAPSHOT_EVERY_MS, () => this.#keepSnapshots());
  }
}
