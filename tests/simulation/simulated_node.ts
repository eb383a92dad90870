import { IdSequencer } from "../../lib/id/id_sequencer.ts";
import { type ClockPolicy, IdGrant, type IdLayout, IdStatus, NodeHeldError } from "../../mod.ts";
import { holdNode, type HoldNodeOptions, isResumable, type NodeHold } from "../../lib/node/hold_node.ts";
import type { NodePool } from "../../lib/node/node_pool.ts";
import { CheckedStore } from "../../lib/reservation/checked_store.ts";
import { claimNode } from "../../lib/reservation/claim.ts";
import { findNodes } from "../../lib/reservation/find_nodes.ts";
import { ReservationHolder } from "../../lib/reservation/holder.ts";
import { SHARED_RENEW_MS } from "../../lib/reservation/shared_store.ts";
import type { TempPools } from "../node/temp_pools.ts";
import { SharedStore } from "./shared_store.ts";
import type { SimulatedSystem } from "./simulated_system.ts";
import type { World } from "./world.ts";

/** Workers of a server. */
const WORKERS = 2;

/** What goes wrong with a machine, one of these at a time. */
const FAULTS = [
  ...Array<"the clock steps">(4).fill("the clock steps"),
  ...Array<"the clock is put right">(4).fill("the clock is put right"),
  ...Array<"the supervisor is killed">(4).fill("the supervisor is killed"),
  ...Array<"the supervisor is ended">(2).fill("the supervisor is ended"),
  ...Array<"a worker is killed">(4).fill("a worker is killed"),
  "the machine reboots",
  "another machine is to take the node",
  ...Array<"the machine is cut off from the store">(2).fill("the machine is cut off from the store"),
] as const;

/** A machine that can have the node: what it has outlives its processes. */
interface Machine {
  readonly name: string;
  /** The nodes that it has had, the last one at the end. */
  readonly nodeIds: Set<number>;
  boots: number;
  /** How far its clock is off, in ms. */
  skewMs: number;
  readonly clock: { now(): number };
  supervisor: Supervisor | undefined;
  /** Workers whose supervisor is gone. */
  readonly orphans: Worker[];
}

/** A worker process: it goes on with what it was told until it is dead, whatever becomes of its supervisor. */
interface Worker {
  readonly ids: IdSequencer;
  readonly tenure: Tenure;
  lastId: number;
  isAlive: boolean;
}

/** A supervisor process. */
interface Supervisor {
  tenure: Tenure | undefined;
  workers: Worker[];
  /** The last tick used by workers that are no more. */
  usedTick: number;
  isRenewing: boolean;
  /** Whether all that it still does is to give the node back. */
  isEnding: boolean;
  isAlive: boolean;
  isCutOff: boolean;
  renewAtMs: number;
}

/** How a supervisor and its workers have the node. */
interface Tenure {
  readonly holder: ReservationHolder;
  /** The name of the holder on record. */
  readonly name: string;
  readonly pool: NodePool | undefined;
  /** How many holders came before its own. */
  readonly rank: number;
  /** How many processes have the pool open. */
  users: number;
}

/** What a {@linkcode SimulatedNode} has in common with the others, and what it has for itself. */
export interface SimulatedNodeOptions {
  readonly world: World;
  readonly system: SimulatedSystem;
  readonly layout: IdLayout;
  readonly pools: TempPools;
  /** The node id; `undefined`: it takes any of those that the system has for whoever comes. */
  readonly nodeId: number | undefined;
  /** A name that no other one has. */
  readonly name: string;
  /** What right clocks say when the simulation begins. */
  readonly startMs: number;
}

/**
 * A node, the same one all the time or any that is free: the machines that it can be on, one at a time or, by mistake,
 * both; on each a clock that is off, drifts and steps, a supervisor and its workers, which share a pool or have a
 * subnode each, and which die at any time; and what the supervisor does about it. The generators, the holders, the
 * pools and the clients of the stores are the real ones.
 */
export class SimulatedNode implements Disposable {
  /** How many ids were given out. */
  given = 0;
  /** How often a server went on where the pool of the one before ends. */
  continued = 0;
  /** How often a holder has warned the operator. */
  warnings = 0;
  /** How often it took a node, whichever it was. */
  found = 0;

  readonly #nodeId: number | undefined;
  readonly #name: string;
  readonly #world: World;
  readonly #system: SimulatedSystem;
  readonly #layout: IdLayout;
  readonly #startMs: number;
  readonly #pools: TempPools;

  readonly policy: ClockPolicy;
  readonly #hasPool: boolean;
  readonly #machines: Machine[];
  /** The machine that is to have the node now. */
  #machine: Machine;
  readonly #monotonicClock;
  readonly #grant = new IdGrant();
  #isFaulty = true;
  #startAtMs = 0;
  #starts = 0;

  constructor({ world, system, layout, pools, nodeId, name, startMs }: SimulatedNodeOptions) {
    this.#nodeId = nodeId;
    this.#name = name;
    this.#world = world;
    this.#system = system;
    this.#layout = layout;
    this.#startMs = startMs;
    this.#pools = pools;
    this.#machines = ["a", "b"].map((letter) => {
      const machine: Machine = {
        ...{ name: `${name}-${letter}`, nodeIds: new Set(), boots: 0, supervisor: undefined, orphans: [] },
        // A shared store gives no node to a clock that is off by more than 2 s.
        skewMs: world.chance(0.5) ? 0 : this.#isShared ? world.between(-2500, 2500) : world.between(-5000, 5000),
        clock: { now: () => startMs + world.nowMs + machine.skewMs },
      };
      return machine;
    });
    this.#machine = this.#machines[0];
    this.policy = world.oneOf(["refuse", "logical"]);
    this.#hasPool = world.chance(0.5);
    this.#monotonicClock = { now: () => this.#world.nowMs };
    this.#startAtMs = world.between(0, 3000);
  }

  /** Whether machines share the store. */
  get #isShared(): boolean {
    return this.#system.store instanceof SharedStore;
  }

  /** From now on, nothing goes wrong. */
  recover(): void {
    this.#isFaulty = false;
    for (const machine of this.#machines) machine.skewMs = 0;
  }

  /** Whether a holder of a node is there whose reservation is over, or nearly so. */
  isOvertime(nodeId: number, name: string): boolean {
    const endMs = this.#world.nowMs + this.#startMs + 5000;
    const isMeant = (tenure: Tenure) => tenure.name === name && tenure.holder.nodeId === nodeId;
    const isOver = ({ holder }: Tenure) => this.#layout.epochMs + holder.mark * this.#layout.tickMs <= endMs;
    const tenures = this.#machines.flatMap(({ supervisor }) => supervisor?.tenure ?? []);
    return tenures.some((tenure) => isMeant(tenure) && isOver(tenure));
  }

  /** Does what machines do in a moment of time. */
  step(): void {
    const active = this.#machine;
    if (active.supervisor === undefined && this.#world.nowMs >= this.#startAtMs) this.#start(active);
    for (const machine of this.#machines) {
      if (machine !== active && machine.supervisor === undefined && machine.orphans.length === 0) continue;
      if (this.#isFaulty) this.#suffer(machine);
      const { supervisor } = machine;
      if (supervisor?.tenure !== undefined && !supervisor.isEnding) {
        this.#renewIfDue(machine, supervisor, supervisor.tenure);
        for (const worker of supervisor.workers) this.#take(worker);
      }
      for (const orphan of machine.orphans) this.#take(orphan);
    }
  }

  /** Ends all processes, and removes what they leave behind. */
  [Symbol.dispose](): void {
    for (const machine of this.#machines) this.#reboot(machine);
    for (const machine of this.#machines) {
      for (const nodeId of machine.nodeIds) this.#pools.remove(this.#poolPath(machine, nodeId));
    }
  }

  /** What goes wrong. */
  #suffer(machine: Machine): void {
    const world = this.#world;
    // An orphan notices after a while; one that was stopped meanwhile, much later.
    const [orphan] = machine.orphans;
    if (orphan !== undefined && world.chance(0.02)) {
      machine.orphans.shift();
      this.#killWorker(orphan);
    }
    if (!world.chance(0.01)) return;
    switch (world.oneOf(FAULTS)) {
      case "the clock steps":
        machine.skewMs += world.oneOf([-1, 1]) * world.oneOf([1, 900, 1000, 10_000, 600_000]);
        break;
      case "the clock is put right":
        machine.skewMs = 0;
        break;
      case "the supervisor is killed":
        return this.#killSupervisor(machine);
      case "the supervisor is ended":
        return this.#end(machine);
      case "a worker is killed":
        return this.#replaceWorker(machine);
      case "the machine reboots":
        return this.#reboot(machine);
      case "the machine is cut off from the store":
        this.#cutOff(machine);
        if (world.chance(0.3)) return;
        /* falls through */
      case "another machine is to take the node":
        this.#machine = this.#machines[this.#machine === this.#machines[0] ? 1 : 0];
        this.#startAtMs = world.nowMs;
    }
  }

  #cutOff({ supervisor }: Machine): void {
    if (supervisor === undefined) return;
    supervisor.isCutOff = true;
    this.#world.after(this.#world.between(2000, 40_000), () => supervisor.isCutOff = false);
  }

  #killSupervisor(machine: Machine): void {
    const { supervisor } = machine;
    if (supervisor === undefined) return;
    machine.orphans.push(...supervisor.workers);
    this.#remove(machine, supervisor);
  }

  #remove(machine: Machine, supervisor: Supervisor): void {
    supervisor.isAlive = false;
    this.#leave(supervisor.tenure);
    machine.supervisor = undefined;
    this.#startAtMs = this.#world.nowMs + this.#world.between(0, 3000);
  }

  /** A clean end: nobody takes any more, and what was not used goes back to the store, if that answers in time. */
  #end(machine: Machine): void {
    const { supervisor } = machine;
    if (supervisor?.tenure === undefined || supervisor.isEnding) return;
    supervisor.isEnding = true;
    const { holder, pool } = supervisor.tenure;
    pool?.close();
    // With a pool, it does no harm if one is left.
    const left = pool !== undefined && this.#world.chance(0.5) ? supervisor.workers.pop() : undefined;
    if (left !== undefined) machine.orphans.push(left);
    const unused = pool?.firstUnusedTick ?? usedTickOf(supervisor) + 1;
    for (const worker of supervisor.workers.splice(0)) this.#killWorker(worker);
    const end = () => supervisor.isAlive && this.#remove(machine, supervisor);
    holder.release(unused).then(end, end);
    this.#world.after(2000, end);
  }

  /** All processes end; the pool's file remains. */
  #reboot(machine: Machine): void {
    if (machine.supervisor !== undefined) this.#killSupervisor(machine);
    for (const orphan of machine.orphans.splice(0)) this.#killWorker(orphan);
    machine.boots++;
  }

  /**
   * A worker dies, and gets a successor: from the mark on, since it may have used whatever had been reserved until
   * then, unless there is a pool that knows what it has used.
   */
  #replaceWorker({ supervisor, clock }: Machine): void {
    if (supervisor?.tenure === undefined || supervisor.isEnding) return;
    const index = Math.floor(this.#world.between(0, WORKERS));
    const dead = supervisor.workers[index];
    this.#killWorker(dead);
    supervisor.usedTick = Math.max(supervisor.usedTick, dead.ids.lastTick);
    supervisor.workers[index] = this.#worker(supervisor.tenure, clock, index, supervisor.tenure.holder.mark);
  }

  #killWorker(worker: Worker): void {
    worker.isAlive = false;
    this.#leave(worker.tenure);
  }

  /** A process no longer has the pool open. */
  #leave(tenure: Tenure | undefined): void {
    if (tenure !== undefined && --tenure.users === 0) tenure.pool?.[Symbol.dispose]();
  }

  #start(machine: Machine): void {
    const supervisor: Supervisor = {
      ...{ tenure: undefined, workers: [], usedTick: -1, isRenewing: false, isEnding: false, isAlive: true },
      isCutOff: false,
      renewAtMs: this.#world.nowMs,
    };
    machine.supervisor = supervisor;
    this.#hold(machine, supervisor).then(
      (tenure) => {
        machine.nodeIds.delete(tenure.holder.nodeId);
        machine.nodeIds.add(tenure.holder.nodeId);
        if (this.#nodeId === undefined) this.found++;
        supervisor.tenure = tenure;
        const { firstTick } = tenure.holder;
        supervisor.usedTick = firstTick - 1;
        supervisor.workers = Array.from(
          { length: WORKERS },
          (_, i) => this.#worker(tenure, machine.clock, i, firstTick),
        );
      },
      () => { // The store failed, or has no node: the supervisor ends, and is started again.
        if (!supervisor.isAlive) return;
        machine.supervisor = undefined;
        this.#startAtMs = this.#world.nowMs + 1000;
      },
    );
  }

  async #hold(machine: Machine, supervisor: Supervisor): Promise<Tenure> {
    const { store, anyNodeIds, isTrusted } = this.#system;
    const layout = this.#layout;
    const name = `${this.#name}-${this.#starts++}`;
    const options = {
      ...{ layout, clock: machine.clock, monotonicClock: this.#monotonicClock, name, warn: () => this.warnings++ },
      ...{ store: store.asSeenBy(supervisor), isBehindAllowed: this.policy === "logical", trustStore: isTrusted },
      sleep: (ms: number) => new Promise<void>((resolve) => this.#world.after(ms, resolve)),
    };
    if (!this.#hasPool) {
      const nodeId = this.#nodeId;
      const holder = nodeId === undefined || this.#isShared
        ? await claimNode({ ...options, nodeId, maxNodeId: anyNodeIds.length - 1 })
        : await ReservationHolder.claim({ ...options, nodeId });
      return { holder, name, pool: undefined, rank: 0, users: 1 };
    }
    const { holder, pool, whyFromMark } = await this.#holdWithPool(machine, options);
    if (whyFromMark === undefined) this.continued++;
    return { holder, name: pool.holder, pool, rank: store.rankOf(holder.nodeId, pool.holder), users: 1 };
  }

  /** Holds the node; or any, as servers do: rather one that this machine has had, if it can go on there at once. */
  async #holdWithPool(
    machine: Machine,
    options: Omit<HoldNodeOptions, "nodeId" | "boot" | "poolPath">,
  ): Promise<NodeHold> {
    const optionsFor = (nodeId: number) => {
      const poolPath = this.#poolPath(machine, nodeId);
      return { ...options, nodeId, boot: `${machine.name}-${machine.boots}`, poolPath };
    };
    if (this.#nodeId !== undefined) return await holdNode(optionsFor(this.#nodeId));
    for (const nodeId of [...machine.nodeIds].slice(-1)) {
      if (!await isResumable(optionsFor(nodeId))) continue;
      const hold = await unlessHeld(holdNode(optionsFor(nodeId)));
      if (hold !== undefined) return hold;
    }
    const store = CheckedStore.of(options.store);
    const isOfLayout = (text: string) => this.#layout.isRecordedAs(text);
    for await (
      const { nodeId, found } of findNodes({ ...options, store, nodeIds: this.#system.anyNodeIds, isOfLayout })
    ) {
      const hold = await unlessHeld(holdNode({ ...optionsFor(nodeId), goneRecord: found }));
      if (hold !== undefined) return hold;
    }
    throw new NodeHeldError("all nodes are held");
  }

  #poolPath({ name }: Machine, nodeId: number): string {
    return this.#pools.path(`${name}-${nodeId}`);
  }

  #worker(tenure: Tenure, clock: { now(): number }, subnodeId: number, firstTick: number): Worker {
    const layout = this.#layout;
    const { holder, pool } = tenure;
    const ids = new IdSequencer({
      ...{ nodeId: holder.nodeId, layout, clock, monotonicClock: this.#monotonicClock, clockPolicy: this.policy },
      ...(pool === undefined
        ? { subnodeId, subnodeCount: WORKERS, reservation: { firstTick, mark: holder.mark } }
        : { sequencePool: pool }),
    });
    tenure.users++;
    return { ids, tenure, lastId: -1, isAlive: true };
  }

  #renewIfDue(machine: Machine, supervisor: Supervisor, { holder, pool }: Tenure): void {
    if (supervisor.isRenewing || this.#world.nowMs < supervisor.renewAtMs) return;
    supervisor.renewAtMs = this.#world.nowMs + (this.#isShared ? SHARED_RENEW_MS : 1000);
    supervisor.isRenewing = true;
    // A renewal that takes too long is given up, and goes on behind the next one's back.
    this.#world.after(2000, () => supervisor.isRenewing = false);
    holder.renew(this.policy === "logical" ? usedTickOf(supervisor) : -1).then(
      () => {
        supervisor.isRenewing = false;
        const mark = holder.mark;
        pool?.extend(mark);
        if (pool !== undefined) return;
        for (const { ids } of supervisor.workers) {
          this.#world.after(this.#world.between(1, 300), () => ids.extendReservation(mark));
        }
      },
      (error) => {
        supervisor.isRenewing = false;
        supervisor.renewAtMs = Math.min(supervisor.renewAtMs, this.#world.nowMs + 1000);
        if (!(error instanceof NodeHeldError) || !supervisor.isAlive) return;
        // Another machine has the node, or a request has that of one before it, which took long to get to the store: it
        // ends.
        pool?.close();
        this.#killSupervisor(machine);
      },
    );
  }

  /** Somebody asks a worker for ids, now and then for more than there are. */
  #take(worker: Worker): void {
    if (!worker.isAlive || !this.#world.chance(0.5)) return;
    const count = this.#world.chance(0.1) ? 100 : 2;
    if (worker.ids.tryRange(count, this.#grant) !== IdStatus.OK) return;
    const step = this.#hasPool ? this.#layout.maxNodeId + 1 : WORKERS * (this.#layout.maxNodeId + 1);
    const { holder: { nodeId }, rank } = worker.tenure;
    let id = this.#grant.firstHigh * 2 ** 32 + this.#grant.firstLow;
    for (let i = 0; i < this.#grant.count; i++, id += step) {
      if (id <= worker.lastId) throw new Error(`the ids of a worker of node ${nodeId} do not ascend`);
      worker.lastId = id;
      this.#system.note(nodeId, id, this.#hasPool ? rank : undefined);
    }
    this.given += this.#grant.count;
  }
}

/** The last tick that it knows to be used. */
function usedTickOf({ tenure, usedTick, workers }: Supervisor): number {
  return tenure?.pool?.position.tick ?? Math.max(usedTick, ...workers.map(({ ids }) => ids.lastTick));
}

/** A hold; `undefined` if somebody else has the node. */
async function unlessHeld(hold: Promise<NodeHold>): Promise<NodeHold | undefined> {
  try {
    return await hold;
  } catch (error) {
    if (error instanceof NodeHeldError) return undefined;
    throw error;
  }
}
