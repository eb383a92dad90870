import { assert, assertEquals, assertGreater, assertLess } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { IdSequencer } from "../../lib/id/id_sequencer.ts";
import { DEFAULT_LAYOUT, IdLayout, LAYOUTS } from "../../mod.ts";
import { createResponder } from "../../lib/wire/responder.ts";
import { HandClock } from "../id/hand_clock.ts";
import { hex } from "./bytes.ts";
import { SEED } from "../settings.ts";
import { areZero, Fuzzer, judge, wordAt } from "./fuzz.ts";

const ROUNDS = 400;
const DATAGRAMS_A_ROUND = 12_500;

const SLOT = 64;

/** A slot, and 64 bytes on either side of it that the responder must not touch. */
class Memory {
  readonly all = new Uint8Array(3 * SLOT).fill(0xee);
  readonly slot = this.all.subarray(SLOT, 2 * SLOT);
  readonly view = new DataView(this.all.buffer, SLOT, SLOT);
  /** The shortest view that a responder takes. */
  readonly narrowView = new DataView(this.all.buffer, SLOT, 32);

  /** The memory before the answer. */
  readonly allBefore = new Uint8Array(3 * SLOT);
  readonly request = this.allBefore.subarray(SLOT, 2 * SLOT);

  remember(): void {
    this.allBefore.set(this.all);
  }

  /** Throws if the responder wrote anything but the answer. */
  assertUntouchedBut(answerLength: number): void {
    for (let i = 0; i < this.all.length; i++) {
      if (i >= SLOT && i < SLOT + answerLength) continue;
      if (this.all[i] !== this.allBefore[i]) throw new Error(`byte ${i - SLOT} is written, and the answer ends before`);
    }
  }
}

const split = { timeBits: 20, sequenceBits: 24, nodeBits: 20, tickMs: 1000, epochMs: 0 };

/** Sequencers of all kinds of layouts, alone on their node and among others. */
const GENERATORS = [
  { layout: LAYOUTS.default, nodeId: 5, subnodeId: 1, subnodeCount: 2 },
  { layout: LAYOUTS.default, nodeId: 1023, subnodeId: 0, subnodeCount: 1 },
  { layout: LAYOUTS.default, nodeId: 0, subnodeId: 131_071, subnodeCount: 131_072 },
  { layout: LAYOUTS.wide, nodeId: 512, subnodeId: 2, subnodeCount: 3 },
  { layout: LAYOUTS.number, nodeId: 255, subnodeId: 4, subnodeCount: 7 },
  { layout: LAYOUTS.twitter, nodeId: 77, subnodeId: 1, subnodeCount: 5 },
  { layout: LAYOUTS.sonyflake, nodeId: 0xfffe, subnodeId: 0, subnodeCount: 1 },
  { layout: LAYOUTS.instagram, nodeId: 8191, subnodeId: 3, subnodeCount: 4 },
  { layout: new IdLayout(split), nodeId: 0xabcde, subnodeId: 2, subnodeCount: 0x10001 },
  { layout: new IdLayout({ ...split, order: "node-sequence" }), nodeId: 0xabcde, subnodeId: 2, subnodeCount: 5 },
  // A tick of 2^31 ids, and ticks of one.
  { layout: new IdLayout({ ...split, timeBits: 32, sequenceBits: 31, nodeBits: 1 }), nodeId: 1 },
  { layout: new IdLayout({ ...split, timeBits: 8, sequenceBits: 0, nodeBits: 3, tickMs: 250 }), nodeId: 6 },
];

/** How many datagrams of each kind there were, and how they were answered, over all rounds. */
const seen = {
  datagrams: 0,
  basicIds: 0,
  basicNone: 0,
  ranges: 0,
  partRanges: 0,
  outOfIds: 0,
  clockBehind: 0,
  outOfTime: 0,
  notServing: 0,
  bad: 0,
  other: 0,
};

/**
 * A sequencer behind a responder, and a model of it: the rules of its documentation and of the protocol, written anew.
 */
class Subject {
  readonly clock: HandClock;
  readonly respond: (datagram: DataView, length: number) => number;

  readonly #generator: IdSequencer;
  readonly #layout: IdLayout;
  readonly #nodeId: number;
  readonly #subnodeId: number;
  readonly #subnodeCount: number;
  /** The last id: every later id must be higher. The tick before the first id counts as used up. */
  #lastTick: number;
  #lastSequence: number;
  /** The first tick that is not reserved. */
  #mark = Infinity;
  /** How long it takes until there are ids again, in ms. */
  #waitMs = 0;

  constructor(
    options: { layout: IdLayout; nodeId: number; subnodeId?: number; subnodeCount?: number },
    fuzzer: Fuzzer,
  ) {
    const { layout, nodeId, subnodeId = 0, subnodeCount = 1 } = options;
    this.#layout = layout;
    this.#nodeId = nodeId;
    this.#subnodeId = subnodeId;
    this.#subnodeCount = subnodeCount;
    this.#lastTick =
      [-1, 0, layout.maxTick - fuzzer.below(250), fuzzer.below(2 ** 32) % layout.maxTick][fuzzer.below(4)];
    this.#lastSequence = layout.maxSequence;
    this.clock = new HandClock(this.#startOf(this.#lastTick));
    const isReserved = fuzzer.below(3) === 0;
    if (isReserved) this.#mark = this.#lastTick + 1;
    this.#generator = new IdSequencer({
      ...{ ...options, clock: this.clock },
      ...(isReserved ? { reservation: { firstTick: this.#lastTick + 1, mark: this.#mark } } : {}),
    });
    this.respond = createResponder(this.#generator, { random: () => 0.5 }); // leaves out no error
  }

  /** Moves the clock: on, back, and away to where it cannot be right, and from there to the last tick used again. */
  moveClock(fuzzer: Fuzzer): void {
    const { tickMs, epochMs, maxTick } = this.#layout;
    // Quarters of a millisecond are exact.
    const inTick = this.#startOf(Math.max(this.#lastTick, 0)) + fuzzer.below(4 * tickMs) / 4;
    switch (fuzzer.below(16)) {
      case 0:
        // Half of the time by more ms than one word can say.
        this.clock.ms = epochMs - 1 / 4 - fuzzer.word() * (fuzzer.below(2) === 0 ? 1 / 4 : 1024);
        break;
      case 1:
        this.clock.ms = this.#startOf(maxTick + 1) + fuzzer.word() / 4;
        break;
      case 2:
        this.clock.ms = inTick - tickMs * fuzzer.below(5);
        break;
      case 3:
      case 4:
      case 5:
        this.clock.ms = inTick;
        break;
      case 6:
        this.clock.ms = inTick + tickMs * fuzzer.below(5);
        break;
      default:
        this.clock.ms = inTick + tickMs;
    }
  }

  /** Takes the reservation, if there is one, to a few ticks past the last one used, if it is not past them already. */
  moveReservation(fuzzer: Fuzzer): void {
    if (this.#mark === Infinity) return;
    const mark = Math.min(this.#lastTick + fuzzer.below(8), this.#layout.maxTick) + 1;
    this.#mark = Math.max(this.#mark, mark);
    this.#generator.extendReservation(mark);
  }

  /** Makes sure that an answer is the right one. */
  check(request: Uint8Array, length: number, answer: Uint8Array, answerLength: number): void {
    seen.datagrams++;
    switch (judge(request, length)) {
      case "basic":
        return this.#checkBasic(answer, answerLength);
      case "range":
        return this.#checkRange(request, answer, answerLength);
      case "bad":
        seen.bad++;
        return expect(checkRefusal(request, answer, answerLength, 4) === 0, "a retry of a bad request makes no sense");
      case "other":
        seen.other++;
        return expect(answerLength === 0, "what is no request is answered");
    }
  }

  #checkBasic(answer: Uint8Array, answerLength: number): void {
    if (this.#status() !== 0) {
      seen.basicNone++;
      return expect(answerLength === 1 && answer[0] === 0x01, "not the basic error, and there are no ids");
    }
    seen.basicIds++;
    expect(answerLength === 9 && answer[0] === 0x00, "not a basic success");
    this.#use(wordAt(answer, 1), wordAt(answer, 5), 1);
  }

  #checkRange(request: Uint8Array, answer: Uint8Array, answerLength: number): void {
    const status = this.#status();
    if (status !== 0) {
      seen.outOfIds += status === 1 ? 1 : 0;
      seen.clockBehind += status === 2 ? 1 : 0;
      seen.outOfTime += status === 3 ? 1 : 0;
      seen.notServing += status === 5 ? 1 : 0;
      const retryAfterMs = checkRefusal(request, answer, answerLength, status);
      if (status === 5) return expect(retryAfterMs > 0, "a reservation may be renewed, and no retry makes sense");
      return expect(
        isSoonest(retryAfterMs, this.#waitMs),
        "a retry makes sense sooner, or only later",
      );
    }
    checkRangeForm(request, answer, answerLength, 0);
    const count = wordAt(request, 4);
    const granted = wordAt(answer, 4);
    seen.ranges++;
    if (granted < count) seen.partRanges++;
    expect(granted === Math.min(count, this.#left()), "granted neither the count nor what the tick has");
    expect(wordAt(answer, 24) * 2 ** 32 + wordAt(answer, 28) === this.#stepOfIds(), "another step than the subnode's");
    this.#use(wordAt(answer, 16), wordAt(answer, 20), granted);
  }

  /** The status that the rules give now, checked in their order; 0 if there are ids. */
  #status(): number {
    const { epochMs, maxTick } = this.#layout;
    const now = this.clock.ms;
    const tick = this.#clockTick();
    this.#waitMs = this.#startOf(Math.max(this.#lastTick, 0)) - now;
    if (now < epochMs || tick < this.#lastTick) return 2;
    this.#waitMs = 0;
    if (tick > maxTick) return 3;
    if (tick >= this.#mark) return 5;
    this.#waitMs = this.#startOf(tick + 1) - now;
    return this.#left() === 0 ? 1 : 0;
  }

  /** How many ids the clock's tick, which is not before the last one used, still has. */
  #left(): number {
    const { maxSequence } = this.#layout;
    const last = this.#clockTick() === this.#lastTick ? this.#lastSequence : this.#subnodeId - this.#subnodeCount;
    return Math.floor((maxSequence - last) / this.#subnodeCount);
  }

  /** Makes sure that ids are of this subnode, of the clock's tick, and above all before them. */
  #use(high: number, low: number, count: number): void {
    const { sequenceBits, nodeBits, sequenceShift, nodeShift, timeBits, totalBits, maxSequence } = this.#layout;
    const tick = bits(high, low, sequenceBits + nodeBits, timeBits);
    const sequence = bits(high, low, sequenceShift, sequenceBits);
    expect(bits(high, low, nodeShift, nodeBits) === this.#nodeId, "an id of another node");
    expect(sequence % this.#subnodeCount === this.#subnodeId, "an id of another subnode");
    expect(tick === this.#clockTick(), "an id of another tick than the clock's");
    expect(tick > this.#lastTick || sequence > this.#lastSequence, "an id that is not above the last one");
    const lastSequence = sequence + (count - 1) * this.#subnodeCount;
    expect(lastSequence <= maxSequence, "ids past the end of the tick");
    expect(bits(high, low, totalBits, 64 - totalBits) === 0, "an id of more bits than the layout's");
    this.#lastTick = tick;
    this.#lastSequence = lastSequence;
  }

  #stepOfIds(): number {
    return this.#subnodeCount * 2 ** this.#layout.sequenceShift;
  }

  #clockTick(): number {
    return Math.floor((this.clock.ms - this.#layout.epochMs) / this.#layout.tickMs);
  }

  #startOf(tick: number): number {
    return this.#layout.epochMs + tick * this.#layout.tickMs;
  }
}

/** Makes sure that an answer is a range response with this status and the request's tag. */
function checkRangeForm(request: Uint8Array, answer: Uint8Array, answerLength: number, status: number): void {
  expect(answerLength === 32 && answer[0] === 0x02, "not a range response");
  expect(answer[1] === status, "another status");
  expect(areZero(answer, 2, 4), "reserved bytes that are not zero");
  expect(wordAt(answer, 8) === wordAt(request, 8) && wordAt(answer, 12) === wordAt(request, 12), "another tag");
}

/** Makes sure that an answer is a range response that grants nothing, and returns its milliseconds. */
function checkRefusal(request: Uint8Array, answer: Uint8Array, answerLength: number, status: number): number {
  checkRangeForm(request, answer, answerLength, status);
  expect(areZero(answer, 4, 8) && areZero(answer, 24, 32), "granted or a step, and no ids");
  return wordAt(answer, 16) * 2 ** 32 + wordAt(answer, 20);
}

/** Whether so many whole ms are enough, and fewer are not; where there is nothing to wait for, there are none. */
function isSoonest(retryAfterMs: number, waitMs: number): boolean {
  if (waitMs === 0) return retryAfterMs === 0;
  return retryAfterMs >= waitMs && (retryAfterMs - 1 < waitMs || retryAfterMs === 1);
}

/** A field of an id that is given as two words. All of it stays below 2^53, and so is exact. */
function bits(high: number, low: number, shift: number, width: number): number {
  if (shift >= 32) return Math.floor(high / 2 ** (shift - 32)) % 2 ** width;
  const highBits = Math.max(width - (32 - shift), 0);
  return (high % 2 ** highBits * 2 ** (32 - shift) + Math.floor(low / 2 ** shift)) % 2 ** width;
}

function expect(condition: boolean, otherwise: string): void {
  if (!condition) throw new Error(otherwise);
}

/** Puts so many datagrams to a responder, and makes sure of every answer. */
function run(subject: Subject, fuzzer: Fuzzer, memory: Memory, datagrams: number): void {
  // How often the clock moves: at every second datagram, or so seldom that ticks are used up.
  const stay = [2, 8, 64, 1024][fuzzer.below(4)];
  const isNarrow = fuzzer.below(2) === 0;
  for (let i = 0; i < datagrams; i++) {
    if (fuzzer.below(stay) === 0) subject.moveClock(fuzzer);
    if (fuzzer.below(2 * stay) === 0) subject.moveReservation(fuzzer);
    const length = fuzzer.next(memory.view);
    memory.remember();
    try {
      const answerLength = isNarrow
        ? subject.respond(memory.narrowView, fuzzer.sentLength)
        : subject.respond(memory.view, length);
      subject.check(memory.request, length, memory.slot, answerLength);
      memory.assertUntouchedBut(answerLength);
    } catch (error) {
      const [request, answer] = [memory.request.subarray(0, length), memory.slot.subarray(0, 32)].map(hex);
      throw new Error(
        `seed ${fuzzer.seed}, datagram ${i} of ${fuzzer.sentLength} bytes, ${request}, at ${subject.clock.ms} ms: ` +
          `${(error as Error).message}; the slot then: ${answer}`,
        { cause: error },
      );
    }
  }
}

describe("createResponder, fuzzed", () => {
  it(`answers millions of datagrams as the protocol and the sequencer's rules say (seeds from ${SEED} on)`, () => {
    const memory = new Memory();
    for (let round = 0; round < ROUNDS; round++) {
      const fuzzer = new Fuzzer(SEED + round);
      // The seed chooses the sequencer, so a failing seed fails in its first round.
      const generator = GENERATORS[fuzzer.seed % GENERATORS.length];
      run(new Subject(generator, fuzzer), fuzzer, memory, DATAGRAMS_A_ROUND);
    }
    assertEquals(seen.datagrams, ROUNDS * DATAGRAMS_A_ROUND);
    for (const [what, count] of Object.entries(seen)) {
      assertGreater(count, seen.datagrams / 500, `${what}: too few for this to have tried anything`);
    }
  });

  it("keeps no memory", () => {
    const collect = collector();
    const memory = new Memory();
    const fuzzer = new Fuzzer(SEED);
    const subject = new Subject({ layout: DEFAULT_LAYOUT, nodeId: 1 }, fuzzer);
    run(subject, fuzzer, memory, 250_000); // V8 compiles everything meanwhile
    const used = () => {
      collect();
      const { heapUsed, external } = Deno.memoryUsage();
      return heapUsed + external;
    };
    const usedBefore = used();
    run(subject, fuzzer, memory, 1_000_000);
    // The smallest object takes 12 bytes: the test fails if every sixtieth datagram leaves one.
    assertLess(used() - usedBefore, 200_000);
  });
});

/** The function that has V8 collect all garbage, which is there only if asked for. */
function collector(): () => void {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc");
  assert(typeof collect === "function");
  return collect;
}
