import { type AccessCounts, COUNT, createAccessCounts } from "../access/access_counts.ts";
import { partOf } from "../access/part_of.ts";
import { SourceTable } from "../access/source_table.ts";
import { createGuardedResponder } from "../access/guarded_responder.ts";
import { messageOf } from "../base/message_of.ts";
import { IdSequencer } from "../id/id_sequencer.ts";
import type { PooledSequence, SplitSequence } from "../id/id_sequencer_options.ts";
import type { IdLayout } from "../id/layout.ts";
import { LAYOUTS } from "../id/presets.ts";
import { createSourceMemory } from "../node/source_memory.ts";
import { BatchedPool } from "../node/batched_pool.ts";
import { lockAsWorker } from "../node/node_lock.ts";
import { NodePool } from "../node/node_pool.ts";
import { NO_CPU } from "../placement/placement.ts";
import { listenDatagram } from "../udp/listen_datagram.ts";
import { bindReuseport, type ReuseportSocket } from "../udp/reuseport.ts";
import type { UdpSocket } from "../udp/udp_socket.ts";
import { createResponder } from "../wire/responder.ts";
import { explainBindError } from "./bind_error.ts";
import { confineWorker } from "./confine_worker.ts";
import { encodeMessage, type FromWorker, readMessages, type WorkerConfig } from "./control_channel.ts";
import { ServeError } from "./serve_error.ts";

/**
 * How often a worker reports to the supervisor while it has something to report, in ms: more often than the supervisor
 * renews the reservation. A report is one message, since every message that wakes the supervisor up takes a CPU from
 * workers and clients for 0.2 to 0.8 ms.
 */
const REPORT_INTERVAL_MS = 500;

/**
 * Into how many parts the ids that a source has left are divided, of which all workers together may lease one: so no
 * more than an eighth lies with workers that do not need it.
 */
const LEASE_PARTS = 8;

/** For how long a worker that is being replaced answers the datagrams that it has received, in ms. */
const DRAIN_MS = 300;

/** When a draining worker leaves its port's group of sockets, in ms after it has given up its CPU's datagrams. */
const LEAVE_GROUP_MS = DRAIN_MS / 10;

/**
 * Runs a worker: hands out ids of the node until the supervisor is gone. Stdin and stdout are the control channel.
 *
 * The worker locks its file before it says hello, and is told to start only after that. So any id that it hands out is
 * covered by the lock that the next supervisor waits for, even if the present one dies in between.
 *
 * @param workersPath The lock file of the node's workers.
 */
export async function runWorker(workersPath: string): Promise<void> {
  leaveSignalsToSupervisor();
  try {
    await lockAsWorker(workersPath);
    say({ type: "hello" });
    let running: RunningWorker | undefined;
    for await (const message of readMessages(Deno.stdin.readable)) {
      if (message.type === "start") running = start(message.config);
      else if (message.type === "mark") running?.sequencer.extendReservation(message.mark);
      else if (message.type === "setIncomingCpu") running?.socket.setIncomingCpu?.(message.incomingCpu);
      else if (message.type === "ping") say({ type: "pong" });
      else if (message.type === "drain") drain(running);
      else end(running);
    }
  } catch (error) {
    fail(error);
  }
  Deno.exit(0);
}

/**
 * Ignores the signals that a terminal or a service manager may send to all processes at once: the supervisor acts on
 * them.
 */
function leaveSignalsToSupervisor(): void {
  const isWindows = Deno.build.os === "windows";
  const signals: Deno.Signal[] = isWindows ? ["SIGINT", "SIGBREAK"] : ["SIGINT", "SIGTERM", "SIGHUP", "SIGUSR2"];
  for (const signal of signals) Deno.addSignalListener(signal, () => {});
}

/** A worker after its start. */
interface RunningWorker {
  readonly sequencer: IdSequencer;
  readonly socket: WorkerSocket;
  /** Tells what is new. */
  readonly report: () => void;
}

/** A socket of either backend: only those that share a port are dealt datagrams by CPU, and form a group. */
type WorkerSocket = UdpSocket & Partial<ReuseportSocket>;

function start(config: WorkerConfig): RunningWorker {
  const socket = bind(config);
  const { nodeId, clockPolicy } = config;
  const layout = LAYOUTS[config.layout];
  const { part, pool, batches } = sourceOf(config, layout);
  const clock = { now: () => socket.receivedMs };
  const sequencer = new IdSequencer({ nodeId, layout, clockPolicy, clock, ...part });
  const counts = createAccessCounts();
  const respond = createResponder(sequencer, {
    readClock: () => socket.readClock(),
    maxCount: config.maxCount,
    counts,
  });
  const guarded = createGuardedResponder(respond, config.access, {
    ...{ sequencer, clock, counts, maxCount: config.maxCount, readClock: () => socket.readClock() },
    sources: sourceTableOf(config, layout, pool),
  });
  // Nothing that a stranger has sent is read before. Without FFI, Deno's own permissions confine the worker.
  const shared = pool === undefined ? [] : [pool.sources.places]; // a part of the pool's memory
  const unconfined = config.backend === "reuseport" ? confineWorker(shared) : undefined;
  // The bound socket already queues datagrams. Serving begins with a wait for the first one, so ready is said before.
  say({ type: "ready", port: socket.port, unconfined });
  const listener = batches &&
    { onBatch: (datagrams: number) => batches.begin(datagrams), onBatchEnd: () => sequencer.releaseLease() };
  socket.serve(guarded, listener).catch(fail);
  const report = createReport({ sequencer, socket, counts, worker: config.worker, pool });
  setInterval(report, REPORT_INTERVAL_MS);
  return { sequencer, socket, report };
}

/** Where a worker's sequence numbers come from. A pool wants to know of each batch of datagrams. */
interface SequenceSource {
  readonly part: SplitSequence | PooledSequence;
  readonly pool?: NodePool;
  readonly batches?: BatchedPool;
}

function sourceOf({ share, worker }: WorkerConfig, layout: IdLayout): SequenceSource {
  if (share.kind === "subnode") {
    const { workerCount, reservation } = share;
    return { part: { subnodeId: worker, subnodeCount: workerCount, reservation } };
  }
  const pool = NodePool.join(share.path, layout);
  const batches = new BatchedPool(pool);
  return { part: { sequencePool: batches }, pool, batches };
}

/** Where a worker counts the ids of sources, if they are limited: in the pool, or else, for its part, by itself. */
function sourceTableOf(
  config: WorkerConfig,
  { tickMs }: IdLayout,
  pool: NodePool | undefined,
): SourceTable | undefined {
  const { sourceLimit } = config.access;
  if (sourceLimit === undefined) return undefined;
  const { idsPerTick, workers } = sourceLimit;
  if (pool !== undefined) {
    return new SourceTable(pool.sources, { idsPerTick, leaseParts: LEASE_PARTS * workers, tickMs });
  }
  const part = partOf(idsPerTick, config.worker, workers);
  return new SourceTable(createSourceMemory(), { idsPerTick: part, leaseParts: 1, tickMs });
}

/** What a worker reports. */
interface Reported {
  readonly sequencer: IdSequencer;
  readonly socket: WorkerSocket;
  readonly counts: AccessCounts;
  /** The worker's number. */
  readonly worker: number;
  /** Takes the counts; `undefined`: the supervisor does. */
  readonly pool: NodePool | undefined;
}

/**
 * Makes a function that tells the supervisor the last tick used and the traffic, and the pool or else the supervisor
 * the counts, as far as they have changed since the last call. The counts are this process's until then: a worker and
 * its successor serve side by side for a while, and so cannot count in the same memory without a mutex.
 */
function createReport({ sequencer, socket, counts, worker, pool }: Reported): () => void {
  let reportedTick = sequencer.lastTick;
  return function report() {
    const [usedTick, traffic] = [sequencer.lastTick, socket.takeTraffic?.()];
    const { notFromClient, shed, overflowed } = socket.takeDrops();
    counts[COUNT.noRequest] += notFromClient;
    counts[COUNT.shed] += shed;
    counts[COUNT.overflowed] += overflowed;
    const newCounts = counts.some((count) => count > 0) ? [...counts] : undefined;
    counts.fill(0);
    if (pool !== undefined && newCounts !== undefined) pool.addCounts(worker, newCounts);
    const countsToTell = pool === undefined ? newCounts : undefined;
    if (usedTick === reportedTick && !traffic?.messages && countsToTell === undefined) return;
    say({ type: "report", usedTick, traffic, counts: countsToTell });
    reportedTick = usedTick;
  };
}

/** Lets others get the new datagrams, answers those it has, and ends. */
function drain(running: RunningWorker | undefined): void {
  const socket = running?.socket;
  if (socket?.setIncomingCpu === undefined) return end(running);
  // From here on, the successor gets the datagrams that are dealt by CPU, so that few are queued when the socket
  // leaves.
  socket.setIncomingCpu(NO_CPU);
  setTimeout(() => socket.leaveGroup?.(), LEAVE_GROUP_MS);
  setTimeout(() => end(running), DRAIN_MS);
}

/** Ends, and says which ticks the worker has used, and so which it has not. */
function end(running: RunningWorker | undefined): never {
  if (running !== undefined) {
    running.report();
    running.socket.close();
    say({ type: "ended", usedTick: running.sequencer.lastTick });
  }
  Deno.exit(0);
}

function bind({ backend, hostname, port, incomingCpu }: WorkerConfig): WorkerSocket {
  try {
    if (backend === "listen-datagram") return listenDatagram({ hostname, port });
    return bindReuseport({ hostname, port, ...(incomingCpu === undefined ? {} : { incomingCpu }) });
  } catch (error) {
    throw new ServeError(explainBindError(error, hostname, port), { cause: error });
  }
}

function fail(error: unknown): never {
  say({ type: "failed", message: messageOf(error) });
  Deno.exit(1);
}

/** Writes a message that is shorter than a pipe's buffer, and so arrives whole or not at all. */
function say(message: FromWorker): void {
  try {
    Deno.stdout.writeSync(encodeMessage(message));
  } catch {
    // The supervisor is gone. The end of stdin says so, too.
  }
}
