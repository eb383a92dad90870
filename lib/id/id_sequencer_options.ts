import { describe } from "../base/check.ts";
import type { Clock } from "../base/clock.ts";
import type { ClockPolicy, IdGeneratorOptions } from "./id_generator_options.ts";
import { IdLayout } from "./layout.ts";
import { DEFAULT_LAYOUT } from "./presets.ts";
import type { SequencePool } from "./sequence_pool.ts";

/** Options for {@linkcode IdSequencer}. */
export type IdSequencerOptions =
  & Omit<IdGeneratorOptions, "subnodeId" | "subnodeCount">
  & (SplitSequence | PooledSequence);

/** The sequencer has sequence numbers of its own: all of the node's, or those of a subnode. */
export interface SplitSequence extends Pick<IdGeneratorOptions, "subnodeId" | "subnodeCount"> {
  /** The ticks that are reserved for this sequencer. Left out: all after the one in which it is made (rule 5). */
  reservation?: TickRange;
  /** Not with sequence numbers of its own. */
  sequencePool?: never;
}

/** The sequencer takes its sequence numbers from a pool, which also knows what is reserved. */
export interface PooledSequence {
  /** Where sequencers of this node that run side by side take their sequence numbers from. */
  sequencePool: SequencePool;
  /** Not with a pool: a pool is another way to split a node. */
  subnodeId?: never;
  /** Not with a pool. */
  subnodeCount?: never;
  /** Not with a pool: it knows what is reserved, and what is taken. */
  reservation?: never;
}

/** Ticks from `firstTick` to before `mark`. */
export interface TickRange {
  /** The first tick. */
  firstTick: number;
  /** The first tick past the range. */
  mark: number;
}

/** The options that do not depend on which node it is, and which part of it. */
export interface IdSettings {
  /** How the ids are laid out. */
  readonly layout: IdLayout;
  /** Tells the time. */
  readonly clock: Clock;
  /** What to do while the clock is behind. */
  readonly clockPolicy: ClockPolicy;
  /** A clock that never steps. */
  readonly monotonicClock: Clock;
}

/**
 * Checks the settings, and fills in the defaults.
 *
 * @throws {TypeError} If one is of the wrong type.
 */
export function checkSettings(options: Partial<IdSettings>): IdSettings {
  const { layout = DEFAULT_LAYOUT, clock = Date, clockPolicy = "refuse", monotonicClock = performance } = options;
  if (!(layout instanceof IdLayout)) throw new TypeError(`layout must be an IdLayout: got ${describe(layout)}`);
  checkClock("clock", clock);
  checkClock("monotonicClock", monotonicClock);
  if (clockPolicy !== "refuse" && clockPolicy !== "logical") {
    throw new TypeError(`clockPolicy must be "refuse" or "logical": got ${describe(clockPolicy)}`);
  }
  return { layout, clock, clockPolicy, monotonicClock };
}

function checkClock(name: string, clock: Clock): void {
  if (typeof clock?.now !== "function") throw new TypeError(`${name} must have a method now(): got ${describe(clock)}`);
}
