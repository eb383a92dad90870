import { IdLayout } from "../../mod.ts";
import { TempPools } from "../node/temp_pools.ts";
import { type Ledger, SimulatedNode } from "./simulated_node.ts";
import { SimulatedStore, World } from "./world.ts";

/** How much time passes between two moments at which nodes do something, in ms. */
const STEP_MS = 250;

/** Where the clocks begin, in ticks, so that they can be put back without running into the epoch. */
const FIRST_TICK = 10_000;
const TICK_MS = 1000;
const SEQUENCE_BITS = 4;
const NODE_BITS = 10;

/** How far in the future clocks that are wrong get ids, at most, in ticks. */
const FUTURE_TICKS = 50_000;

/** What is to be simulated. */
export interface SimulationOptions {
  /** The same seed gives the same run. */
  readonly seed: number;
  /** How many nodes, at most 1024. */
  readonly nodes: number;
  /** How long faults go on. */
  readonly seconds: number;
}

/** What a simulation has come to. */
export interface Outcome {
  /** Ids given out, every one of them compared with all others. */
  ids: number;
  /** How often a server went on where the pool of the one before ends. */
  continued: number;
  /** How often the record of a node in a shared store has gone back, or was lost. */
  goneBack: number;
  /** How often a holder noticed that. */
  warnings: number;
  /** Seconds that passed, times the nodes. */
  nodeSeconds: number;
  /** Nodes that give out ids again within a minute of all faults being over. */
  recovered: number;
  /** Nodes that could: those who go on whatever their clock says, and those whose clock is past their mark. */
  recoverable: number;
}

/**
 * Runs a cluster through faults: clocks that are off, drift and step, supervisors and workers that are killed between
 * any two moments or end, orphans that go on, machines that reboot, nodes that another machine takes, and stores that
 * are slow, out of reach or lose replies. Half of the nodes are in a store that machines share, and that goes back.
 *
 * @throws {Error} If an id is given out twice, or the ids of a worker do not ascend, or those of workers that share a
 * pool; the message has the seed.
 */
export async function simulate({ seed, nodes, seconds }: SimulationOptions): Promise<Outcome> {
  const world = new World(seed);
  const startMs = FIRST_TICK * TICK_MS;
  const stores = [new SimulatedStore(world), new SimulatedStore(world, startMs)];
  const shared = stores[1];
  const ticks = FIRST_TICK + seconds + FUTURE_TICKS;
  const timeBits = Math.ceil(Math.log2(ticks + 1));
  const layout = new IdLayout({
    timeBits,
    sequenceBits: SEQUENCE_BITS,
    nodeBits: NODE_BITS,
    tickMs: TICK_MS,
    epochMs: 0,
  });
  const ledger = new BitLedger(nodes, 2 ** timeBits);
  using pools = new TempPools();
  const cluster = Array.from(
    { length: nodes },
    (_, nodeId) => new SimulatedNode({ world, store: stores[nodeId % 2], layout, ledger, pools, nodeId, startMs }),
  );
  const run = async (untilMs: number) => {
    while (world.nowMs < untilMs) {
      await world.pass(STEP_MS);
      for (const node of cluster) node.step();
    }
  };
  try {
    const endMs = seconds * 1000;
    while (world.nowMs < endMs) {
      await run(Math.min(endMs, world.nowMs + world.between(10_000, 120_000)));
      const out = stores.filter(() => world.chance(0.7));
      for (const store of out) store.isOut = true;
      await run(Math.min(endMs, world.nowMs + world.between(100, 20_000)));
      // A fail-over, a restore, or somebody's mistake: while the store is out, or all of a sudden.
      if (world.chance(0.7)) shared.goBack((nodeId, name) => cluster[nodeId].isOvertime(name));
      for (const store of out) store.isOut = false;
    }
    for (const node of cluster) node.recover();
    await run(world.nowMs + 70_000); // some requests take a minute
    const given = cluster.map((node) => node.given);
    const marks = cluster.map(({ nodeId }) => stores[nodeId % 2].markOf(nodeId));
    await run(world.nowMs + 60_000);
    const recovered = cluster.map((node, i) => node.given > given[i]);
    // Whoever refuses to run ahead of the clock waits until it is past the mark, for good reason.
    const nowTick = FIRST_TICK + world.nowMs / TICK_MS;
    const recoverable = cluster.map((node, i) => node.policy === "logical" || marks[i] < nowTick - 5);
    return {
      ids: cluster.reduce((sum, node) => sum + node.given, 0),
      continued: cluster.reduce((sum, node) => sum + node.continued, 0),
      goneBack: shared.goneBack,
      warnings: cluster.reduce((sum, node) => sum + node.warnings, 0),
      nodeSeconds: nodes * world.nowMs / 1000,
      recovered: recovered.filter((isRecovered, i) => isRecovered && recoverable[i]).length,
      recoverable: recoverable.filter(Boolean).length,
    };
  } catch (error) {
    throw new Error(`seed ${seed}, after ${world.nowMs} ms: ${(error as Error).message}`, { cause: error });
  } finally {
    for (const node of cluster) node[Symbol.dispose]();
  }
}

/** A bit for every id that there can be. */
class BitLedger implements Ledger {
  readonly #bits: Uint16Array;

  private readonly ticks: number;

  constructor(nodes: number, ticks: number) {
    this.ticks = ticks;
    this.#bits = new Uint16Array(nodes * ticks);
  }

  note(nodeId: number, id: number): void {
    const tick = Math.floor(id / 2 ** (SEQUENCE_BITS + NODE_BITS));
    const sequence = id >>> NODE_BITS & (1 << SEQUENCE_BITS) - 1;
    if ((id & (1 << NODE_BITS) - 1) !== nodeId) {
      throw new Error(`node ${nodeId} gave out ${id}, which is another node's`);
    }
    const index = nodeId * this.ticks + tick;
    const bit = 1 << sequence;
    if ((this.#bits[index] & bit) !== 0) {
      throw new Error(`node ${nodeId} gave out the id of tick ${tick}, sequence number ${sequence} twice`);
    }
    this.#bits[index] |= bit;
  }
}
