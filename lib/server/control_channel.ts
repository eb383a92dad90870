/**
 * What supervisor and worker tell each other: JSON, a message a line, over the worker's stdin and stdout.
 *
 * The worker says `hello` once it holds its lock, is told to `start`, and says `ready` or `failed`. From then on it is told whose
 * datagrams to `take` and, where it has no pool to read it in, every `mark`; and it gives a `report` of the last tick that it used, and
 * of its traffic where the socket knows it. Told to `drain`, it gets no new datagrams, answers those it has, and ends. Told to `stop`,
 * it ends at once. In both cases its last words are `ended`: it has used no later tick, and will not. When its stdin ends, the
 * supervisor is gone, and the worker ends too.
 *
 * @module
 */
import type { AccessOptions } from "../access/guarded_responder.ts";
import type { ClockPolicy } from "../id/id_generator_options.ts";
import type { TickRange } from "../id/id_sequencer_options.ts";
import type { LayoutName } from "../id/presets.ts";
import type { Traffic } from "../udp/reuseport.ts";
import type { Backend } from "./serve_options.ts";

/** What a worker is to do. */
export interface WorkerConfig {
  /** The node whose ids it hands out. */
  nodeId: number;
  /** The worker's number, from 0. */
  worker: number;
  /** Which of the node's ids. */
  share: WorkerShare;
  /** How the ids are laid out. */
  layout: LayoutName;
  /** The kind of socket. */
  backend: Backend;
  /** The IP address to bind. */
  hostname: string;
  /** The port to bind, or 0 for one that the system chooses. */
  port: number;
  /** The CPU that it is pinned to, if it is pinned. */
  cpu: number | undefined;
  /** The CPU whose datagrams it is to take, if it is pinned: see `Placement`. */
  incomingCpu: number | undefined;
  /** What to do while the clock is behind. */
  clockPolicy: ClockPolicy;
  /** Who gets ids from it. */
  access: AccessOptions;
}

/** What a worker takes from the pool at this path, or has to itself: those of the subnode of its number, in the ticks reserved. */
export type WorkerShare =
  | { kind: "pool"; path: string }
  | { kind: "subnode"; workerCount: number; reservation: TickRange };

/** From the supervisor to a worker. */
export type ToWorker =
  | { type: "start"; config: WorkerConfig }
  | { type: "mark"; mark: number }
  | { type: "take"; incomingCpu: number }
  | { type: "drain" }
  | { type: "stop" };

/** From a worker to the supervisor. */
export type FromWorker =
  | { type: "hello" }
  | { type: "ready"; port: number }
  | { type: "report"; usedTick: number; traffic: Traffic | undefined }
  | { type: "ended"; usedTick: number }
  | { type: "failed"; message: string };

/** A message as it goes over the channel. */
export function encodeMessage(message: ToWorker | FromWorker): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(JSON.stringify(message) + "\n");
}

/** The messages that come over the channel, until it ends. What comes after the last end of line is not a message. */
export async function* readMessages<M extends ToWorker | FromWorker>(
  stream: ReadableStream<Uint8Array<ArrayBuffer>>,
): AsyncGenerator<M> {
  let rest = "";
  for await (const text of stream.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split("\n");
    rest = lines.pop()!;
    for (const line of lines) yield JSON.parse(line);
  }
}
