/**
 * The control channel between supervisor and worker: JSON, a message a line, over the worker's stdin and stdout.
 *
 * 1. The worker says `hello` once it holds its lock. The supervisor answers with `start`, the worker with `ready` or
 *    `failed`.
 * 2. While the worker serves, the supervisor sends `setIncomingCpu` when other datagrams become the worker's, and, to a
 *    worker without a pool, `mark` after every renewal of the reservation. The worker sends a `report` with the last
 *    tick that it used, with its traffic if the socket counts it, and with its new counts if it has no pool to add them
 *    to.
 * 3. A worker that serves answers `ping` with `pong`.
 * 4. On `drain`, the worker gets no new datagrams, answers those it has, and ends. On `stop`, it ends at once. Its last
 *    message is `ended`: it has used no later tick, and never will.
 *
 * The end of the worker's stdin means that the supervisor is gone. The worker ends then, too.
 *
 * A worker trusts its supervisor, and not the other way round: see `worker_messages.ts`.
 *
 * @module
 */
import type { AccessOptions } from "../access/guarded_responder.ts";
import { GlobalIdError } from "../base/errors.ts";
import type { ClockPolicy } from "../id/id_generator_options.ts";
import type { TickRange } from "../id/id_sequencer_options.ts";
import type { LayoutName } from "../id/presets.ts";
import type { Traffic } from "../udp/reuseport.ts";
import type { Backend } from "./serve_options.ts";

/** What came over the channel is nothing that its sender may say; the message says what it was. */
export class ChannelError extends GlobalIdError {
  /** The name of the class. */
  override name = "ChannelError";
}

/** The configuration of one worker. */
export interface WorkerConfig {
  /** The node whose ids the worker hands out. */
  nodeId: number;
  /** The worker's number, from 0. */
  worker: number;
  /** Where the worker's ids come from. */
  share: WorkerShare;
  /** How ids are laid out. */
  layout: LayoutName;
  /** The kind of socket. */
  backend: Backend;
  /** The IP address to bind. */
  hostname: string;
  /** The port to bind, or 0 for one that the system chooses. */
  port: number;
  /** The CPU to pin the worker to; `undefined`: none. */
  cpu: number | undefined;
  /** The CPU whose datagrams the worker answers, if it is pinned: see `Placement`. */
  incomingCpu: number | undefined;
  /** What to do while the clock is behind. */
  clockPolicy: ClockPolicy;
  /** Which clients get ids. */
  access: AccessOptions;
  /** How many ids a request gets at most. */
  maxCount: number;
}

/**
 * Where a worker's ids come from: the pool at this path, or the subnode of the worker's number, in the ticks reserved.
 */
export type WorkerShare =
  | { kind: "pool"; path: string }
  | { kind: "subnode"; workerCount: number; reservation: TickRange };

/** From the supervisor to a worker. */
export type ToWorker =
  | { type: "start"; config: WorkerConfig }
  | { type: "mark"; mark: number }
  | { type: "setIncomingCpu"; incomingCpu: number }
  | { type: "ping" }
  | { type: "drain" }
  | { type: "stop" };

/** From a worker to the supervisor. */
export type FromWorker =
  | { type: "hello" }
  | { type: "ready"; port: number; unconfined?: string | undefined }
  | { type: "report"; usedTick: number; traffic: Traffic | undefined; counts: number[] | undefined }
  | { type: "pong" }
  | { type: "ended"; usedTick: number }
  | { type: "failed"; message: string };

/** Encodes a message for the channel. */
export function encodeMessage(message: ToWorker | FromWorker): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(JSON.stringify(message) + "\n");
}

/** Reads a supervisor's messages until the channel ends. A last line without an end was cut off, and is dropped. */
export async function* readMessages(stream: ReadableStream<Uint8Array<ArrayBuffer>>): AsyncGenerator<ToWorker> {
  for await (const line of readLines(stream, Infinity)) yield JSON.parse(line);
}

/**
 * Reads lines until a stream ends. A last line without an end was cut off with its sender, and is dropped.
 *
 * @param stream The stream.
 * @param maxLength How many characters a line may have.
 * @throws {ChannelError} If a line is longer. No more than that much of it is kept, besides a chunk of the stream.
 */
export async function* readLines(
  stream: ReadableStream<Uint8Array<ArrayBuffer>>,
  maxLength: number,
): AsyncGenerator<string> {
  let rest = "";
  for await (const text of stream.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split("\n");
    rest = lines.pop() ?? "";
    for (const line of [...lines, rest]) {
      if (line.length > maxLength) throw new ChannelError(`a line of more than ${maxLength} characters`);
    }
    yield* lines;
  }
}
