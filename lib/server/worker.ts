import { createGuardedResponder } from "../access/guarded_responder.ts";
import { IdSequencer } from "../id/id_sequencer.ts";
import { LAYOUTS } from "../id/presets.ts";
import { listenDatagram } from "../udp/listen_datagram.ts";
import { bindReuseport, type ReuseportSocket } from "../udp/reuseport.ts";
import type { UdpSocket } from "../udp/udp_socket.ts";
import { createResponder } from "../wire/responder.ts";
import { explainBindError } from "./bind_error.ts";
import { encodeMessage, type FromWorker, readMessages, type ToWorker, type WorkerConfig } from "./control_channel.ts";
import { NO_CPU } from "../placement/placement.ts";
import { lockAsWorker } from "../node/node_lock.ts";
import { BatchedPool } from "../node/batched_pool.ts";
import { NodePool } from "../node/node_pool.ts";

/**
 * How often the supervisor gets a report while there is something to report, in ms: more often than it renews the reservation. In one
 * message, since every one that wakes up the supervisor takes a CPU from workers and clients for 0.2 to 0.8 ms.
 */
const REPORT_INTERVAL_MS = 500;

/** For how long a worker that is replaced answers what it has received before it ends, in ms. */
const DRAIN_MS = 300;

/**
 * Is a worker: hands out ids of the node until the supervisor is gone. Its stdin and stdout are the control channel.
 *
 * It takes its lock before it says hello, and is told to start only afterwards: so whatever it ever hands out, it holds the
 * lock that a next supervisor waits for, even if this one dies in between.
 *
 * @param workersPath The file of that lock.
 */
export async function runWorker(workersPath: string): Promise<void> {
  leaveSignalsToSupervisor();
  try {
    await lockAsWorker(workersPath);
    say({ type: "hello" });
    let started: Started | undefined;
    for await (const message of readMessages<ToWorker>(Deno.stdin.readable)) {
      if (message.type === "start") started = start(message.config);
      else if (message.type === "mark") started?.sequencer.extendReservation(message.mark);
      else if (message.type === "take") started?.socket.setIncomingCpu?.(message.incomingCpu);
      else if (message.type === "drain") drain(started);
      else end(started);
    }
  } catch (error) {
    fail(error);
  }
  Deno.exit(0);
}

/** Ctrl-C, or a service manager, may send a signal to all processes at once: the supervisor tells its workers what follows from it. */
function leaveSignalsToSupervisor(): void {
  const isWindows = Deno.build.os === "windows";
  const signals: Deno.Signal[] = isWindows ? ["SIGINT", "SIGBREAK"] : ["SIGINT", "SIGTERM", "SIGHUP", "SIGUSR2"];
  for (const signal of signals) Deno.addSignalListener(signal, () => {});
}

interface Started {
  readonly sequencer: IdSequencer;
  readonly socket: WorkerSocket;
}

/** Of the backend `listen-datagram`, it has a port of its own, and nothing to choose. */
type WorkerSocket = UdpSocket & Partial<ReuseportSocket>;

function start(config: WorkerConfig): Started {
  const socket = bind(config);
  const layout = LAYOUTS[config.layout];
  const { nodeId, clockPolicy, share, worker } = config;
  const pool = share.kind === "pool" ? new BatchedPool(NodePool.join(share.path, layout)) : undefined;
  const part = share.kind === "subnode"
    ? { subnodeId: worker, subnodeCount: share.workerCount, reservation: share.reservation }
    : { sequencePool: pool! };
  const clock = { now: () => socket.receivedMs };
  const sequencer = new IdSequencer({ nodeId, layout, clockPolicy, clock, ...part });
  // It is bound, so from now on nothing gets lost; to serve begins with a wait for the first datagram.
  say({ type: "ready", port: socket.port });
  const respond = createResponder(sequencer, () => socket.readClock());
  const listener = pool &&
    { onBatch: (datagrams: number) => pool.begin(datagrams), onBatchEnd: () => sequencer.releaseLease() };
  socket.serve(createGuardedResponder(respond, config.access, layout), listener).catch(fail);

  let reportedTick = sequencer.lastTick;
  setInterval(() => {
    const [usedTick, traffic] = [sequencer.lastTick, socket.takeTraffic?.()];
    if (usedTick === reportedTick && !traffic?.messages) return;
    say({ type: "report", usedTick, traffic });
    reportedTick = usedTick;
  }, REPORT_INTERVAL_MS);
  return { sequencer, socket };
}

/** Gets no new datagrams, answers what it has, and ends. */
function drain(started: Started | undefined): void {
  const socket = started?.socket;
  if (socket?.setIncomingCpu === undefined) return end(started);
  // What is dealt by CPU goes to the successor from here on, so that little is left when the socket is taken from the group.
  socket.setIncomingCpu(NO_CPU);
  setTimeout(() => socket.leaveGroup!(), DRAIN_MS / 10);
  setTimeout(() => end(started), DRAIN_MS);
}

/** Ends, and says what it has used, and so what it has not. */
function end(started: Started | undefined): never {
  if (started !== undefined) {
    started.socket.close();
    say({ type: "ended", usedTick: started.sequencer.lastTick });
  }
  Deno.exit(0);
}

function bind({ backend, hostname, port, incomingCpu }: WorkerConfig): WorkerSocket {
  try {
    if (backend === "listen-datagram") return listenDatagram({ hostname, port });
    return bindReuseport({ hostname, port, ...(incomingCpu === undefined ? {} : { incomingCpu }) });
  } catch (error) {
    throw new Error(explainBindError(error, hostname, port));
  }
}

function fail(error: unknown): never {
  say({ type: "failed", message: error instanceof Error ? error.message : String(error) });
  Deno.exit(1);
}

/** One write of less than a pipe's buffer: it is whole or not at all. */
function say(message: FromWorker): void {
  try {
    Deno.stdout.writeSync(encodeMessage(message));
  } catch {
    // The supervisor is gone, which the end of stdin says as well.
  }
}
