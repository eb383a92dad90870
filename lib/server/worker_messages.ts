/**
 * What a supervisor believes of what a worker says. A worker reads what strangers send, so it may be broken or in
 * someone else's hands: the supervisor acts only on messages that a sound worker can have sent.
 *
 * @module
 */
import { describe } from "../base/check.ts";
import { LAYOUTS } from "../id/presets.ts";
import { COUNT_WORDS } from "../node/pool_memory.ts";
import { ChannelError, type FromWorker, readLines, type WorkerConfig } from "./control_channel.ts";

/** How many characters a worker's line may have. The longest that a sound one writes has some hundreds. */
export const MAX_LINE_LENGTH = 65_536;

/** How many characters of a worker's own words are kept. */
const MAX_WORDS_LENGTH = 1000;

type Test = (value: unknown) => boolean;

const isInteger = (min: number, max: number): Test => (value) =>
  Number.isSafeInteger(value) && min <= (value as number) && (value as number) <= max;
const isCount = isInteger(0, Number.MAX_SAFE_INTEGER);
const isWords: Test = (value) => typeof value === "string";
const isTick = isInteger(-1, Number.MAX_SAFE_INTEGER);
const isTraffic: Test = (value) => hasFields(value, { messages: isCount, receives: isCount });

const isCounts: Test = (value) => Array.isArray(value) && value.length === COUNT_WORDS && value.every(isCount);
const orNone = (test: Test): Test => (value) => value === undefined || test(value);

/** The fields of each message besides its type, all of which it must have, and no other. */
const FIELDS: Record<FromWorker["type"], Record<string, Test>> = {
  hello: {},
  ready: { port: isInteger(1, 65_535), unconfined: orNone(isWords) },
  report: { usedTick: isTick, traffic: orNone(isTraffic), counts: orNone(isCounts) },
  pong: {},
  ended: { usedTick: isTick },
  failed: { message: isWords },
};

/**
 * Reads a worker's messages until the channel ends.
 *
 * @throws {ChannelError} If a line is too long, or no message.
 */
export async function* readWorkerMessages(
  stream: ReadableStream<Uint8Array<ArrayBuffer>>,
): AsyncGenerator<FromWorker> {
  for await (const line of readLines(stream, MAX_LINE_LENGTH)) yield parseWorkerMessage(line);
}

/**
 * Reads a message of a worker.
 *
 * @param line The line.
 * @throws {ChannelError} If the line is no message.
 */
export function parseWorkerMessage(line: string): FromWorker {
  const message = parseJson(line) as FromWorker;
  const isMessage = typeof message === "object" && message !== null && Object.hasOwn(FIELDS, message.type) &&
    hasFields(message, { ...FIELDS[message.type], type: () => true });
  if (!isMessage) throw new ChannelError(`a line that is no message: ${describe(line)}`);
  return withShortWords(message);
}

/** Cuts the words of a message for people. */
function withShortWords(message: FromWorker): FromWorker {
  const cut = (words: string) => words.slice(0, MAX_WORDS_LENGTH);
  if (message.type === "failed") return { ...message, message: cut(message.message) };
  if (message.type !== "ready" || message.unconfined === undefined) return message;
  return { ...message, unconfined: cut(message.unconfined) };
}

/** The value that a text stands for; `undefined` if it is no JSON. */
function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Whether a value is an object with these fields, each of which passes its test, and with no other. */
function hasFields(value: unknown, tests: Record<string, Test>): boolean {
  if (typeof value !== "object" || value === null) return false;
  return Object.keys(value).every((name) => Object.hasOwn(tests, name)) &&
    Object.entries(tests).every(([name, test]) => test((value as Record<string, unknown>)[name]));
}

/** How far a worker has got, as far as it has said. */
type WorkerState = "new" | "greeted" | "serving" | "over";

/**
 * Checks that a worker's messages come in an order, and with values, that a sound worker can have: `hello`, then
 * `ready`, then any number of `report`, and a `pong` for each `ping`, then `ended`; `failed` in place of any of them,
 * as the last.
 */
export class WorkerRules {
  readonly #config: WorkerConfig;
  #state: WorkerState = "new";
  /** No message may say that an earlier tick was the last one used. */
  #usedTick: number;
  /** How many pings the worker has not answered yet. */
  #pings = 0;

  /**
   * Makes the rules for one worker.
   *
   * @param config The worker's configuration. The mark in it is the one that the worker was told last.
   */
  constructor(config: WorkerConfig) {
    this.#config = config;
    this.#usedTick = config.share.kind === "subnode" ? config.share.reservation.firstTick - 1 : -1;
  }

  /** The worker is sent a `ping`. */
  expectPong(): void {
    this.#pings++;
  }

  /**
   * Checks the worker's next message.
   *
   * @throws {ChannelError} If a sound worker would not send it now.
   */
  check(message: FromWorker): void {
    switch (message.type) {
      case "hello":
        return this.#go("new", "greeted", message);
      case "ready":
        this.#checkPort(message.port);
        return this.#go("greeted", "serving", message);
      case "report":
        this.#checkTick(message.usedTick);
        return this.#go("serving", "serving", message);
      case "pong":
        if (this.#pings-- === 0) throw new ChannelError(`"pong" without a ping`);
        return this.#go("serving", "serving", message);
      case "ended":
        this.#checkTick(message.usedTick);
        return this.#go("serving", "over", message);
      case "failed":
        return this.#go(this.#state === "over" ? "serving" : this.#state, "over", message);
    }
  }

  #go(from: WorkerState, to: WorkerState, { type }: FromWorker): void {
    if (this.#state !== from) throw new ChannelError(`${describe(type)} out of turn`);
    this.#state = to;
  }

  #checkPort(port: number): void {
    const asked = this.#config.port;
    if (asked > 0 && port !== asked) throw new ChannelError(`port ${port}, where it was told ${asked}`);
  }

  #checkTick(tick: number): void {
    const max = maxTickOf(this.#config);
    if (tick < this.#usedTick || tick > max) {
      throw new ChannelError(`tick ${tick} as its last one, which must be from ${this.#usedTick} to ${max}`);
    }
    this.#usedTick = tick;
  }
}

/** The last tick that a worker can have used. What a pool has for it is the pool's to say: see `NodePool.check`. */
function maxTickOf({ share, layout }: WorkerConfig): number {
  return share.kind === "subnode" ? share.reservation.mark - 1 : LAYOUTS[layout].maxTick;
}
