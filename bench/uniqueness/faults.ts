/**
 * The faults of the uniqueness comparison, as scripts: processes that run one after the other, each with a clock of its
 * own. Processes whose clocks show the same time count as simultaneous.
 */

/** Ids taken one after the other, at one instant. */
export interface Batch {
  /** The time of the clock, in ms since the Unix epoch. Time passes until then; or if `isSet`, the clock is set. */
  atMs: number;
  isSet?: boolean;
  count: number;
  /** Whether the fault has happened: these ids must not be among those given out before. */
  isAfter?: boolean;
}

/** One process: it makes a generator, takes ids from it, and ends without closing anything. */
export interface Script {
  /** The node id that the generator is given; left out: it is made with its defaults. */
  nodeId?: number;
  /** The time of the clock when the process begins, in ms since the Unix epoch. */
  startMs: number;
  batches: Batch[];
}

/** A fault, as the scripts of the processes that it happens to. */
export interface Fault {
  /** The head of its column. */
  name: string;
  description: string;
  /** The processes, given how many ids the generator has a tick. */
  scripts(idsPerTick: number): Script[];
}

/** The instant of a fault, at the beginning of a second; and a time well before, when generators are made. */
const INSTANT_MS = Date.UTC(2026, 0, 1, 12);
const EARLIER_MS = INSTANT_MS - 60_000;

const NODE_ID = 5;
const HOUR_MS = 3_600_000;

const TEN: Batch = { atMs: INSTANT_MS, count: 10 };

/** How many ids are taken at one instant under load: all of a millisecond of most generators. */
const LOAD = 4096;

/** All faults, in the order of the columns. */
export const FAULTS: readonly Fault[] = [
  {
    name: "restart",
    description: "A process takes 10 ids and dies; at the same instant, the next one takes 10.",
    scripts: () => [process([TEN]), process([after(TEN)], { startMs: INSTANT_MS })],
  },
  {
    name: "back 5 ms",
    description:
      "10 ids in each of 6 instants over 5 ms; the clock is set back by 5 ms while the process runs; the same again.",
    scripts: () => [stepBack(5, 10)],
  },
  { name: "back 1 s", description: "The same over 1 s.", scripts: () => [stepBack(1000, 10)] },
  { name: "back 1 h", description: "The same over 1 h.", scripts: () => [stepBack(HOUR_MS, 10)] },
  {
    name: "back 1 s, busy",
    description: `The same over 1 s, with all ids that the generator has in a tick, at most ${LOAD}, at each instant.`,
    scripts: (idsPerTick) => [stepBack(1000, Math.min(idsPerTick, LOAD))],
  },
  {
    name: "restart, back 1 h",
    description:
      "10 ids in each of 6 instants over 1 h; the process ends, the clock is set back, the next one does the same.",
    scripts: () => [process(instants(HOUR_MS, 10)), process(instants(HOUR_MS, 10).map(after))],
  },
  {
    name: "same node id",
    description: "Two processes with one node id take 10 ids each at the same instant.",
    scripts: () => [process([TEN]), process([after(TEN)])],
  },
  {
    name: "no node id",
    description: "Two processes that are told no node id are started, and take 10 ids each, at the same instant.",
    scripts: () => [TEN, after(TEN)].map((batch) => ({ startMs: INSTANT_MS, batches: [batch] })),
  },
  {
    name: "more than a tick has",
    description: "1000 ids more, asked for at once, after all that the generator has in a tick (at most 131,072).",
    scripts: (idsPerTick) => [
      process([{ ...TEN, count: Math.min(idsPerTick, 2 ** 17) }, after({ ...TEN, count: 1000 })]),
    ],
  },
];

/** A process with the node id. */
function process(batches: Batch[], { startMs = EARLIER_MS } = {}): Script {
  return { nodeId: NODE_ID, startMs, batches };
}

/** Ids at 6 instants, the first and the last of which are so far apart. */
function instants(spanMs: number, count: number): Batch[] {
  return Array.from({ length: 6 }, (_, i) => ({ atMs: INSTANT_MS + i * spanMs / 5, count }));
}

function after(batch: Batch): Batch {
  return { ...batch, isAfter: true };
}

/** Ids at 6 instants; then the clock is set back to the first of them, and it all happens again. */
function stepBack(spanMs: number, count: number): Script {
  const [first, ...others] = instants(spanMs, count);
  const again = [{ ...first, isSet: true }, ...others].map(after);
  return process([first, ...others, ...again]);
}
