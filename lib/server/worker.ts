import { createGuardedResponder } from "../access/guarded_responder.ts";
import { IdGenerator } from "../id/id_generator.ts";
import { LAYOUTS } from "../id/presets.ts";
import { listenDatagram } from "../udp/listen_datagram.ts";
import { bindReuseport, type ReuseportSocket } from "../udp/reuseport.ts";
import type { UdpSocket } from "../udp/udp_socket.ts";
import { createResponder } from "../wire/responder.ts";
import { explainBindError } from "./bind_error.ts";
import { encodeMessage, type FromWorker, readMessages, type ToWorker, type WorkerConfig } from "./control_channel.ts";
import { lockAsWorker } from "../node/node_lock.ts";
import { SharedSequencePool } from "../node/shared_sequence_pool.ts";

/**
 * How often the supervisor gets a report while there is something to report, in ms: more often than it renews the reservation. In one
 * message, since every one that wakes up the supervisor takes a CPU from workers and clients for 0.2 to 0.8 ms.
 */
const REPORT_INTERVAL_MS = 500;

/**
 * A batch can take half a millisecond, and as long, a clock that is read once for all of it can be behind those of other workers.
 * When they have gone on to the next tick, what it asks for is gone. That is little of a second, and much of a millisecond, so for
 * ticks below this, in ms, the clock is read for every id.
 */
const MIN_BATCH_TICK_MS = 1000;

/**
 * Is a worker: hands out ids of the node until the supervisor is gone. Its stdin and stdout are the control channel.
 *
 * It takes its lock before it says hello, and is told to start only afterwards: so whatever it ever hands out, it holds the
 * lock that a next supervisor waits for, even if this one dies in between.
 *
 * @param workersPath The file of that lock.
 */
export async function runWorker(workersPath: string): Promise<void> {
  try {
    await lockAsWorker(workersPath);
    say({ type: "hello" });
    let started: Started | undefined;
    for await (const message of readMessages<ToWorker>(Deno.stdin.readable)) {
      if (message.type === "start") started = start(message.config);
      else if (message.type === "mark") started?.generator.extendReservation(message.endTick);
      else started?.socket.setIncomingCpu?.(message.incomingCpu);
    }
  } catch (error) {
    fail(error);
  }
  Deno.exit(0);
}

interface Started {
  readonly generator: IdGenerator;
  readonly socket: WorkerSocket;
}

/** Of the backend `listen-datagram`, it has a port of its own, and nothing to choose. */
type WorkerSocket = UdpSocket & Partial<ReuseportSocket>;

function start(config: WorkerConfig): Started {
  const socket = bind(config);
  const layout = LAYOUTS[config.layout];
  const { nodeId, clockPolicy, reservation, worker, workerCount, sequencePoolPath } = config;
  const share = sequencePoolPath === undefined
    ? { subnodeId: worker, subnodeCount: workerCount }
    : { sequencePool: SharedSequencePool.open(sequencePoolPath, layout) };
  const generator = new IdGenerator({
    ...{ nodeId, layout, clockPolicy, reservation, ...share },
    clock: layout.tickMs < MIN_BATCH_TICK_MS ? Date : { now: () => socket.receivedMs },
  });
  // It is bound, so from now on nothing gets lost; to serve begins with a wait for the first datagram.
  say({ type: "ready", port: socket.port });
  socket.serve(createGuardedResponder(createResponder(generator), config.access, layout)).catch(fail);

  let reportedTick = generator.lastTick;
  setInterval(() => {
    const [usedTick, traffic] = [generator.lastTick, socket.takeTraffic?.()];
    if (usedTick === reportedTick && !traffic?.messages) return;
    say({ type: "report", usedTick, traffic });
    reportedTick = usedTick;
  }, REPORT_INTERVAL_MS);
  return { generator, socket };
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
