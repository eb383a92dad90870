import { IdLayout } from "../../mod.ts";
import { TempPools } from "../node/temp_pools.ts";
import { SharedStore, type StoreFaults } from "./shared_store.ts";
import { SimulatedEtcd } from "./simulated_etcd.ts";
import { SimulatedNode } from "./simulated_node.ts";
import { SimulatedPostgres } from "./simulated_postgres.ts";
import { LocalStore } from "./simulated_store.ts";
import { BITS, SimulatedSystem } from "./simulated_system.ts";
import { VirtualRuntime } from "./virtual_runtime.ts";
import { World } from "./world.ts";

/** How much time passes between two moments at which nodes do something, in ms. */
const STEP_MS = 250;

/** Where the clocks begin, in ticks, so that they can be put back without running into the epoch. */
const FIRST_TICK = 10_000;
const TICK_MS = 1000;

/** How far in the future clocks that are wrong get ids, at most, in ticks. */
const FUTURE_TICKS = 50_000;

/** What is to be simulated. */
export interface SimulationOptions {
  /** The same seed gives the same run. */
  readonly seed: number;
  /** How many nodes, from 8 to 1024. */
  readonly nodes: number;
  /** How long faults go on. */
  readonly seconds: number;
}

/** What a simulation has come to. */
export interface Outcome extends StoreFaults {
  /** Ids given out, every one of them compared with all others. */
  ids: number;
  /** How often a server went on where the pool of the one before ends. */
  continued: number;
  /** How often a holder has warned the operator. */
  warnings: number;
  /** How many nodes somebody took who takes any that is free. */
  found: number;
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
 * are slow, out of reach or lose replies.
 *
 * Three quarters of the nodes are in a store of their machine's own. The others are in three stores that machines
 * share: etcd and PostgreSQL, which go back, and a PostgreSQL that loses only what it has not acknowledged, and is
 * trusted. In each of these three, half of the nodes are for whoever comes, and there are more servers than such nodes.
 *
 * @throws {Error} If an id is given out twice, or the ids of a worker do not ascend, or those of workers that share a
 * pool; the message has the seed.
 */
export async function simulate({ seed, nodes, seconds }: SimulationOptions): Promise<Outcome> {
  const world = new World(seed);
  const startMs = FIRST_TICK * TICK_MS;
  const timeBits = Math.ceil(Math.log2(FIRST_TICK + seconds + FUTURE_TICKS + 1));
  const layout = new IdLayout({ ...BITS, timeBits, tickMs: TICK_MS, epochMs: 0 });
  const faults = { goneBack: 0, foundMade: 0, warned: 0, unkept: 0 };

  const etcd = new SimulatedEtcd(world, startMs, faults);
  using _runtime = new VirtualRuntime(world, etcd.fetch);
  using pools = new TempPools();
  const ticks = 2 ** timeBits;
  const sharedNodes = 2 * Math.ceil(nodes / 24);
  const shared = { nodes: sharedNodes, anyNodes: sharedNodes / 2, ticks };
  const localNodes = nodes - 3 * sharedNodes;
  const systems = [
    new SimulatedSystem({ store: new LocalStore(world), nodes: localNodes, anyNodes: 0, ticks, isTrusted: false }),
    new SimulatedSystem({ store: etcd, ...shared, isTrusted: false }),
    new SimulatedSystem({ store: new SimulatedPostgres(world, startMs, faults), ...shared, isTrusted: false }),
    new SimulatedSystem({ store: new SimulatedPostgres(world, startMs, faults), ...shared, isTrusted: true }),
  ];
  const clusters = systems.map((system, index) => {
    const anyNodes = system.anyNodeIds.length;
    const seekers = Array<undefined>(Math.ceil(anyNodes * 1.2)).fill(undefined);
    const fixed = Array.from({ length: system.nodes - anyNodes }, (_, i) => anyNodes + i);
    return [...fixed, ...seekers].map((nodeId, i) =>
      new SimulatedNode({ world, system, layout, pools, nodeId, name: `${index}-${i}`, startMs })
    );
  });
  const cluster = clusters.flat();
  const run = async (untilMs: number) => {
    while (world.nowMs < untilMs) {
      await world.pass(STEP_MS);
      for (const node of cluster) node.step();
    }
  };
  try {
    const endMs = seconds * 1000;
    while (world.nowMs < endMs) {
      for (const { store } of systems) store.isBad = world.chance(0.1);
      await run(Math.min(endMs, world.nowMs + world.between(10_000, 120_000)));
      const out = systems.filter(() => world.chance(0.7));
      for (const { store } of out) store.isOut = true;
      await run(Math.min(endMs, world.nowMs + world.between(100, 20_000)));
      // A fail-over, a restore, or somebody's mistake: while the store is out, or all of a sudden.
      systems.forEach(({ store, isTrusted }, i) => {
        if (!(store instanceof SharedStore) || isTrusted || !world.chance(0.7)) return;
        store.goBack((nodeId, name) => clusters[i].some((node) => node.isOvertime(nodeId, name)));
      });
      for (const { store } of out) store.isOut = false;
    }
    for (const { store } of systems) store.isBad = false;
    for (const node of cluster) node.recover();
    await run(world.nowMs + 70_000); // some requests take a minute
    const given = systems.map((system) => system.given.slice());
    // Whoever refuses to run ahead of the clock waits until it is past the mark, for good reason.
    const marks = systems.map(({ store, nodes }) => Array.from({ length: nodes }, (_, nodeId) => store.markOf(nodeId)));
    await run(world.nowMs + 60_000);
    const nowTick = FIRST_TICK + world.nowMs / TICK_MS;
    const recoverable = systems.flatMap(({ anyNodeIds, nodes }, i) =>
      Array.from({ length: nodes }, (_, nodeId) => {
        const goesAhead = clusters[i][nodeId - anyNodeIds.length]?.policy === "logical";
        return goesAhead || marks[i][nodeId] < nowTick - 5;
      })
    );
    const recovered = systems.flatMap((system, i) =>
      [...system.given].map((count, nodeId) => count > given[i][nodeId])
    );
    return {
      ...faults,
      ids: cluster.reduce((sum, node) => sum + node.given, 0),
      continued: cluster.reduce((sum, node) => sum + node.continued, 0),
      warnings: cluster.reduce((sum, node) => sum + node.warnings, 0),
      found: cluster.reduce((sum, node) => sum + node.found, 0),
      nodeSeconds: recoverable.length * world.nowMs / 1000,
      recovered: recovered.filter((isRecovered, i) => isRecovered && recoverable[i]).length,
      recoverable: recoverable.filter(Boolean).length,
    };
  } catch (error) {
    throw new Error(`seed ${seed}, after ${world.nowMs} ms: ${(error as Error).message}`, { cause: error });
  } finally {
    for (const node of cluster) node[Symbol.dispose]();
  }
}
