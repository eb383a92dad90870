import { parseHolder } from "../../lib/reservation/holder_on_record.ts";
import { assert } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import fc from "fast-check";
import { BatchedPool } from "../../lib/node/batched_pool.ts";
import type { NodeHold } from "../../lib/node/hold_node.ts";
import type { NodePool } from "../../lib/node/node_pool.ts";
import { POOL_BYTES } from "../../lib/node/pool_memory.ts";
import { PoolError } from "../../lib/node/pool_header.ts";
import { cString, openLibc } from "../../lib/libc/libc.ts";
import { createOwnFile } from "../../lib/node/own_file.ts";
import { IdSequencer } from "../../lib/id/id_sequencer.ts";
import { type ClockPolicy, IdGrant, IdLayout, IdStatus, NodeHeldError } from "../../mod.ts";
import { recordOf } from "../reservation/record_of.ts";
import { type Fate, FlakyStore } from "../reservation/flaky_store.ts";
import { endOnFailure } from "../shrinking.ts";
import { Machine } from "./machine.ts";
import { RawPool } from "./raw_pool.ts";
import { TempPools } from "./temp_pools.ts";

const TICK_MS = 1000;
const WORKERS = 2;

/**
 * The events of a node. The number of a server or worker counts modulo how many the machine has; workers count from the
 * latest.
 */
type Event =
  /** A worker answers one request, with its clock off by so much. */
  | { kind: "take"; machine: number; worker: number; count: number; offMs: number }
  /** A worker sends the answers of its batch, and receives another batch. */
  | { kind: "batch"; machine: number; worker: number; datagrams: number }
  /** A worker answers one request of its batch. */
  | { kind: "request"; machine: number; worker: number; count: number; offMs: number }
  /** Time passes, and the clocks are set. */
  | { kind: "time"; passedMs: number; wallMs: number }
  /** A server starts. Between its reading and its writing of the record, one on the other machine may start as well. */
  | { kind: "start"; machine: number; fate: Fate; isOvertaken: boolean }
  /** A server joins the running one; and takes over from it, once it is ready. */
  | { kind: "join"; machine: number }
  | { kind: "replace"; machine: number }
  /** A server renews: the fate of its change in the store, and whether the reply is late. */
  | { kind: "renew"; machine: number; server: number; fate: Fate; isSlow: boolean }
  /** A server ends, step by step. Workers may outlive it. */
  | { kind: "close"; machine: number; server: number; hasOrphans: boolean }
  | { kind: "release"; machine: number; server: number; fate: Fate }
  | { kind: "die"; machine: number; server: number }
  | { kind: "workerDies"; machine: number; worker: number }
  | { kind: "reboot"; machine: number; file: "left" | "older" | "damaged" | "cut" | "gone"; at: number }
  /** A change that its sender has given up arrives at the store; a late reply arrives at its server. */
  | { kind: "arrive"; index: number }
  | { kind: "reply"; index: number };

const machine = fc.oneof({ weight: 4, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.constant(1) });
const [server, index] = [fc.nat({ max: 1 }), fc.nat({ max: 9 })];
const worker = fc.oneof({ weight: 2, arbitrary: fc.nat({ max: 1 }) }, { weight: 1, arbitrary: fc.nat({ max: 7 }) });
const count = fc.integer({ min: 1, max: 5 });
const fate = fc.constantFrom<Fate>("well", "well", "well", "before", "after", "late", "late");
const offMs = fc.oneof(
  { weight: 5, arbitrary: fc.constant(0) },
  { weight: 1, arbitrary: fc.integer({ min: -1500, max: 1500 }) },
  { weight: 1, arbitrary: fc.integer({ min: -30_000, max: 30_000 }) },
);
function event<T>(kind: Event["kind"], weight: number, fields: { [K in keyof T]: fc.Arbitrary<T[K]> }) {
  return { weight, arbitrary: fc.record({ kind: fc.constant(kind), ...fields }) as fc.Arbitrary<Event> };
}
const anyEvent = fc.oneof(
  event("take", 40, { machine, worker, count, offMs }),
  event("batch", 8, { machine, worker, datagrams: count }),
  event("request", 12, { machine, worker, count, offMs }),
  event("time", 14, {
    passedMs: fc.nat({ max: 2500 }),
    wallMs: fc.oneof(
      { weight: 6, arbitrary: fc.constant(0) },
      { weight: 1, arbitrary: fc.integer({ min: -20_000, max: 20_000 }) },
      { weight: 1, arbitrary: fc.constant(16_000) }, // past what is reserved ahead
    ),
  }),
  event("start", 12, {
    machine,
    fate,
    isOvertaken: fc.nat({ max: 11 }).map((n) => n === 0),
  }),
  event("join", 4, { machine }),
  event("replace", 4, { machine }),
  event("renew", 16, { machine, server, fate, isSlow: fc.boolean() }),
  event("close", 6, { machine, server, hasOrphans: fc.boolean() }),
  event("release", 8, { machine, server, fate }),
  event("die", 4, { machine, server }),
  event("workerDies", 2, { machine, worker }),
  event("reboot", 1, { machine, file: fc.constantFrom("left", "older", "damaged", "cut", "gone"), at: fc.nat() }),
  event("arrive", 6, { index }),
  event("reply", 8, { index }),
);

const anyCase = fc.record({
  sequenceBits: fc.constantFrom(0, 2, 3, 4),
  nodeBits: fc.nat({ max: 2 }),
  policy: fc.constantFrom<ClockPolicy>("refuse", "logical"),
  /** Whether changes that are under way to the store are lost before the last server starts. */
  isLateLost: fc.boolean(),
  lastMachine: fc.nat({ max: 1 }),
  events: fc.array(anyEvent, { minLength: 30, maxLength: 200, size: "max" }),
});

/** A process that leases from a pool until it dies. */
interface Worker {
  ids: IdSequencer;
  batched: BatchedPool;
  /** The holder of the pool. */
  holder: string;
  offMs: number;
  /** The ids for its batch, which have not been sent yet. */
  answers: number[];
  /** The highest id that its holder, or one before that, had sent when the worker received its batch. */
  sentBefore: number;
}

/** A process that holds the node, or is about to. */
interface Server {
  hold: NodeHold;
  isAlive: boolean;
  /** Whether it has joined another server, and has not taken over yet. */
  isJoining: boolean;
  /** The first unused tick, once it has closed its pool and is about to release the node. */
  unused: number | undefined;
}

/** A machine and its processes. The first server holds the node's lock. */
interface Site {
  machine: Machine;
  servers: Server[];
  workers: Worker[];
  olderFile: Uint8Array | undefined;
}

/** Counts of the cases that the claims are about. */
interface Tally {
  ids: number;
  resumed: number;
  wentOn: number;
  fromMark: number;
  replaced: number;
  released: number;
  arrived: number;
}

/** Runs one case, and compares all ids. */
async function run(
  { sequenceBits, nodeBits, policy, isLateLost, lastMachine, events }: typeof anyCase extends fc.Arbitrary<infer T> ? T
    : never,
  pools: TempPools,
  tally: Tally,
): Promise<void> {
  const layout = new IdLayout({ timeBits: 16, sequenceBits, nodeBits, tickMs: TICK_MS, epochMs: 0 });
  const store = new FlakyStore();
  let meanwhile: (() => Promise<void>) | undefined;
  const interrupted = {
    isLocal: true,
    read: (nodeId: number) => store.read(nodeId),
    async compareAndSet(...change: Parameters<FlakyStore["compareAndSet"]>) {
      const first = meanwhile;
      meanwhile = undefined;
      await first?.();
      return await store.compareAndSet(...change);
    },
  };
  const shared = { store: interrupted, layout, nodeId: layout.maxNodeId, isBehindAllowed: policy === "logical" };
  const sites: Site[] = ["a", "b"].map((name) => ({
    ...{
      machine: new Machine(name, pools.path(name), 1000 * TICK_MS, shared),
      servers: [],
      workers: [],
      olderFile: undefined,
    },
  }));
  const monotonicClock = { now: () => passedMs };
  let passedMs = 0;
  const replies: (() => Promise<void>)[] = [];

  /** All holders that were ever on record, in their order, with the highest mark of each, and its highest id sent. */
  const holders: { name: string; mark: number; sent: number }[] = [];
  store.onChange = ({ holder: onRecord, mark }) => {
    if (onRecord === "") return;
    const holder = parseHolder(onRecord).name;
    const known = holders.find(({ name }) => name === holder);
    if (known === undefined) holders.push({ name: holder, mark, sent: -1 });
    else known.mark = Math.max(known.mark, mark);
  };
  const rankOf = (holder: string) => holders.findIndex(({ name }) => name === holder);
  /**
   * The highest id that a holder, or one before it, has sent. A displaced holder may go on below its successors' ids.
   */
  const sentUpTo = (holder: string) => Math.max(...holders.slice(0, rankOf(holder) + 1).map(({ sent }) => sent));
  const seen = new Set<number>();
  const grant = new IdGrant();

  const begin = (worker: Worker, datagrams: number) => {
    worker.ids.releaseLease(); // before the answers are sent
    const holder = holders[rankOf(worker.holder)];
    holder.sent = Math.max(holder.sent, ...worker.answers.splice(0));
    worker.sentBefore = sentUpTo(worker.holder);
    worker.batched.begin(datagrams);
  };
  const take = (worker: Worker, count: number) => {
    if (worker.ids.tryRange(count, grant) !== IdStatus.OK) return;
    for (let i = 0; i < grant.count; i++) {
      const id = grant.firstLow + i * Number(worker.ids.step);
      assert(!seen.has(id), `id ${id} was given out twice`);
      seen.add(id);
      assert(id > worker.sentBefore, `id ${id} is not above ${worker.sentBefore}, which was sent before`);
      assert(id > (worker.answers.at(-1) ?? -1), `id ${id} does not ascend`);
      const { tick, nodeId } = layout.unpack(BigInt(id));
      assert(nodeId === layout.maxNodeId);
      assert(tick < holders[rankOf(worker.holder)].mark, `tick ${tick} is not its holder's`);
      worker.answers.push(id);
    }
    tally.ids += grant.count;
  };
  const newWorker = ({ machine }: Site, pool: NodePool): Worker => {
    const batched = new BatchedPool(pool);
    const worker: Worker = {
      ...{ batched, holder: pool.holder, offMs: 0, answers: [], sentBefore: -1 },
      ids: new IdSequencer({
        ...{ nodeId: layout.maxNodeId, layout, monotonicClock, clockPolicy: policy, sequencePool: batched },
        clock: { now: () => machine.clock.ms + worker.offMs },
      }),
    };
    begin(worker, 1);
    return worker;
  };
  const tolerate = async <T>(change: Promise<T>): Promise<T | undefined> => {
    try {
      return await change;
    } catch (error) {
      const { message } = error as Error;
      if (error instanceof NodeHeldError || error instanceof PoolError) return undefined;
      if (/out of reach|got lost/.test(message)) return undefined;
      throw error;
    }
  };
  const serve = (site: Site, hold: NodeHold, { isJoining }: { isJoining: boolean }) => {
    site.servers.push({ hold, isJoining, isAlive: true, unused: undefined });
    for (let i = 0; i < WORKERS; i++) site.workers.push(newWorker(site, hold.pool));
  };
  const start = async (site: Site) => {
    if (site.servers.length > 0) return;
    const changes = store.changes;
    const hold = await tolerate(site.machine.hold());
    if (hold === undefined) return;
    if (hold.whyFromMark !== undefined) tally.fromMark++;
    else if (store.changes === changes) tally.resumed++;
    else if (holders.length > 1) tally.wentOn++;
    serve(site, hold, { isJoining: false });
  };
  const remove = (site: Site, server: Server) => {
    server.isAlive = false;
    site.servers.splice(site.servers.indexOf(server), 1);
  };
  const renew = async (site: Site, server: Server) => {
    const { pool, holder } = server.hold;
    if (server.isJoining || server.unused !== undefined) return;
    if (!pool.isOwned) return remove(site, server); // another server has taken over
    assert(!pool.isClosed, "the pool of a server that goes on is closed");
    try {
      await holder.renew(policy === "logical" ? pool.position.tick : -1);
      if (server.isAlive) pool.extend(holder.mark);
    } catch (error) {
      if (!(error instanceof NodeHeldError)) return await tolerate(Promise.reject(error));
      if (!server.isAlive) return;
      pool.close(); // another holder has claimed the node
      remove(site, server);
    }
  };
  const reboot = (site: Site, file: string, at: number): void => {
    const { machine, servers, workers } = site;
    for (const server of [...servers]) remove(site, server);
    workers.splice(0);
    machine[Symbol.dispose]();
    machine.reboot();
    if (file === "gone") return pools.remove(machine.poolPath);
    if (file === "cut") return makeFile(machine.poolPath, 1 + at % POOL_BYTES);
    if (isFile(machine.poolPath)) {
      using memory = new RawPool(machine.poolPath);
      const before = site.olderFile;
      site.olderFile = memory.bytes.slice();
      if (file === "older" && before !== undefined) memory.bytes.set(before);
      if (file === "damaged") { for (const end of [300, 1200, 4096]) memory.bytes[at % end] ^= 1 << at % 8; }
    }
  };

  try {
    await start(sites[0]);
    for (const event of events) {
      const site = sites["machine" in event ? event.machine : 0];
      const { servers, workers, machine } = site;
      const worker = "worker" in event ? workers.at(-1 - event.worker % workers.length) : undefined;
      const server = "server" in event ? servers[event.server % servers.length] : undefined;
      if ("fate" in event) store.fates.splice(0, Infinity, event.fate);
      if (worker !== undefined && "offMs" in event) worker.offMs = event.offMs;
      if (event.kind === "take" && worker !== undefined) {
        begin(worker, 1);
        take(worker, event.count);
        begin(worker, 1);
      }
      if (event.kind === "batch" && worker !== undefined) begin(worker, event.datagrams);
      if (event.kind === "request" && worker !== undefined) take(worker, event.count);
      if (event.kind === "time") {
        passedMs += event.passedMs;
        for (const { machine: { clock } } of sites) clock.ms = Math.max(0, clock.ms + event.passedMs + event.wallMs);
      }
      if (event.kind === "start") {
        const other = sites[1 - event.machine];
        if (event.isOvertaken) meanwhile = () => start(other);
        await start(site);
        meanwhile = undefined;
      }
      if (event.kind === "join" && servers.length === 1) {
        const hold = await tolerate(machine.join());
        if (hold !== undefined) serve(site, hold, { isJoining: true });
      }
      if (event.kind === "replace" && servers[1]?.isJoining) {
        if (servers[1].hold.pool.own()) {
          servers[1].isJoining = false;
          tally.replaced++;
        } else remove(site, servers[1]);
      }
      if (event.kind === "renew" && server !== undefined) {
        const reply = event.isSlow ? store.holdNextReply() : undefined;
        const renewal = renew(site, server);
        if (reply === undefined) await renewal;
        else replies.push(() => (reply.resolve(), renewal));
        for (let turn = 0; turn < 20; turn++) await Promise.resolve();
        store.holdNoReply();
      }
      if (event.kind === "close" && server?.hold.pool.close()) {
        server.unused = server.hold.pool.firstUnusedTick;
        if (!event.hasOrphans) site.workers = workers.filter(({ holder }) => holder !== server.hold.pool.holder);
      }
      if (event.kind === "release" && server?.unused !== undefined) {
        await tolerate(server.hold.holder.release(server.unused).then(() => tally.released++));
        remove(site, server);
      }
      if (event.kind === "die" && server !== undefined) remove(site, server);
      if (event.kind === "workerDies" && worker !== undefined) workers.splice(workers.indexOf(worker), 1);
      if (event.kind === "reboot") reboot(site, event.file, event.at);
      if (event.kind === "arrive" && store.lateCount > 0 && await store.arrive(event.index % store.lateCount)) {
        tally.arrived++;
      }
      if (event.kind === "reply" && replies.length > 0) await replies.splice(event.index % replies.length, 1)[0]();
    }

    // All servers have died, and the store answers: the node can be held again, with ids once the clock is past the
    // mark.
    store.fates.splice(0);
    for (const site of sites) {
      for (const server of [...site.servers]) remove(site, server);
      for (const worker of site.workers.splice(0)) begin(worker, 1);
    }
    for (const reply of replies) await reply();
    while (!isLateLost && store.lateCount > 0) await store.arrive();
    const { mark } = await recordOf(store, layout.maxNodeId);
    for (const { machine } of sites) machine.clock.ms = mark * TICK_MS;
    const hasIds = async (site: Site) => {
      await start(site);
      await renew(site, site.servers[0]);
      const before = seen.size;
      take(site.workers[0], 1);
      assert(seen.size > before, "there are no ids, though nothing fails");
      begin(site.workers[0], 1);
    };
    await hasIds(sites[lastMachine]);
    // And after a clean end, with ids from the next tick on, on any machine.
    const [{ hold: { pool, holder } }] = sites[lastMachine].servers;
    pool.close();
    await holder.release(pool.firstUnusedTick);
    remove(sites[lastMachine], sites[lastMachine].servers[0]);
    for (const { machine } of sites) machine.clock.ms += TICK_MS;
    await hasIds(sites[1 - lastMachine]);
  } finally {
    for (const { machine } of sites) {
      machine[Symbol.dispose]();
      pools.remove(machine.poolPath);
    }
  }
}

function isFile(path: string): boolean {
  const libc = openLibc();
  const fd = libc.open(cString(path), 0, 0);
  if (fd >= 0) libc.close(fd);
  return fd >= 0;
}

/** Makes a file of zeros. */
function makeFile(path: string, bytes: number): void {
  const file = createOwnFile(openLibc(), path, bytes);
  file.put();
  openLibc().close(file.fd);
}

describe("holdNode, joinNode, NodePool and BatchedPool, whatever servers, machines, clocks and the store do", () => {
  it("give no id twice, later ids are higher, all are of reserved ticks, and the node can be held again", async () => {
    using pools = new TempPools();
    const tally: Tally = { ids: 0, resumed: 0, wentOn: 0, fromMark: 0, replaced: 0, released: 0, arrived: 0 };
    await fc.assert(
      fc.asyncProperty(anyCase, (testCase) => run(testCase, pools, tally)),
      { numRuns: 2500, seed: 20_260_101, endOnFailure },
    );
    assert(tally.ids > 30_000, `only ${tally.ids} ids were given out: the cases prove little`);
    for (const [what, times] of Object.entries(tally)) assert(times > 300, `${what}: only ${times} times`);
  });
});
