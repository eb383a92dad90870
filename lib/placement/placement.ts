import type { Traffic } from "../udp/reuseport.ts";

/** The utilization from which on a CPU is saturated. */
const SATURATED = 0.9;
/** The utilization up to which a CPU can answer the datagrams of another one. */
const UNDERLOADED = 0.5;
/** The sum of the utilizations of CPUs below which one CPU can do the work of all of them. */
const FITS_ONE = 0.8;

/**
 * From how many messages a receive on average datagrams count as batched. Batched datagrams are moved for throughput. A
 * client that sends datagrams one by one waits for each answer, and then a wake-up across CPUs takes longer than all
 * the rest.
 *
 * Measured with all clients on one CPU, in replies a second from that CPU and from the other one:
 *
 * | clients | in flight each | messages a receive | same CPU | other CPU |
 * | ------- | -------------- | ------------------ | -------- | --------- |
 * | 1       | 1              | 1.00               | 94,000   | 18,000    |
 * | 1       | 2              | 1.05               | 96,000   | 42,000    |
 * | 4       | 1              | 1.29               | 114,000  | 249,000   |
 * | 1       | 4              | 1.63               | 120,000  | 157,000   |
 * | 1       | 8              | 3.22               | 133,000  | 297,000   |
 *
 * So the bound is cautious.
 */
const BATCHED = 1.5;

/** How long after a move the workers' reports are all from after the move, in ms. */
const SETTLE_MS = 1500;

/** How long no worker has received a datagram when all moves are undone, in ms. Workers report every 500 ms. */
const SILENCE_MS = 1500;

/** How long no move is made after one that turned out to be futile, in ms. */
const PAUSE_MS = 10_000;

/** Stands for no CPU: a worker that answers only the datagrams that the kernel deals by a hash of the sender. */
export const NO_CPU = -1;

/** The datagrams that arrive on the home CPU of one worker, moved to others. */
interface Move {
  /** The worker whose datagrams are moved. */
  readonly from: number;
  /**
   * The worker that answers them, while `from` answers those of its home CPU; `undefined` for all workers, by a hash.
   */
  to: number | undefined;
  /** When the move was made. */
  sinceMs: number;
}

/**
 * Decides which worker answers the datagrams that arrive on which CPU.
 *
 * A worker answers those of its home CPU, the CPU that it is pinned to: that is fastest as long as every CPU gets its
 * part. If all datagrams arrive on one CPU (a network card with one queue, clients on the same machine), that CPU
 * becomes saturated while the others idle. Then the worker on the idlest CPU answers them. If its CPU becomes saturated
 * as well, all workers do.
 *
 * Placement decides about speed only. Ids are unique and in order, whichever worker answers.
 */
export class Placement {
  readonly #homeCpus: readonly number[];
  #moves: Move[] = [];
  #pausedUntilMs = -Infinity;
  /** When any worker has last received a datagram. */
  #receivedMs = -Infinity;

  /**
   * Begins with every worker at its home CPU.
   *
   * @param homeCpus The CPU that each worker is pinned to, a different one for each.
   */
  constructor(homeCpus: readonly number[]) {
    this.#homeCpus = homeCpus;
  }

  /** The CPU whose datagrams each worker is to answer, or {@linkcode NO_CPU}. */
  get incomingCpus(): number[] {
    const cpus = [...this.#homeCpus];
    for (const { from, to } of this.#moves) {
      cpus[from] = to === undefined ? NO_CPU : this.#homeCpus[to];
      if (to !== undefined) cpus[to] = this.#homeCpus[from];
    }
    return cpus;
  }

  /** Whether any worker answers other datagrams than those of its home CPU. */
  get hasMoves(): boolean {
    return this.#moves.length > 0;
  }

  /**
   * Decides anew.
   *
   * @param utilization The share of the time since the last decision in which each worker's home CPU was busy, 0 to 1.
   * @param traffic What each worker has received since the last decision.
   * @param nowMs The time, on a clock that does not step.
   */
  update(utilization: readonly number[], traffic: readonly Traffic[], nowMs: number): void {
    if (traffic.some(({ receives }) => receives > 0)) this.#receivedMs = nowMs;
    this.#undoMoves(utilization, traffic, nowMs);
    if (nowMs < this.#pausedUntilMs) return;

    const atHome = utilization.map((_, worker) => worker).filter((worker) => !this.#isMoved(worker));
    const idlest = atHome.toSorted((a, b) => utilization[a] - utilization[b]).at(0);
    if (idlest === undefined || utilization[idlest] > UNDERLOADED) return;
    const isSaturated = (worker: number) => utilization[worker] >= SATURATED;
    const insufficient = this.#moves.find(({ to }) => to !== undefined && isSaturated(to));
    const from = atHome.find((worker) => isSaturated(worker) && isBatched(traffic[worker]));
    if (insufficient !== undefined) {
      insufficient.to = undefined;
      insufficient.sinceMs = nowMs;
    } else if (from !== undefined) {
      this.#moves.push({ from, to: idlest, sinceMs: nowMs });
    }
  }

  /** Undoes the moves that are not needed any more, and those that do not pay, after which there is a pause. */
  #undoMoves(utilization: readonly number[], traffic: readonly Traffic[], nowMs: number): void {
    const isSilent = nowMs - this.#receivedMs >= SILENCE_MS;
    this.#moves = this.#moves.filter((move) => {
      if (isSilent || isUnderloaded(move, utilization)) return false;
      if (nowMs - move.sinceMs < SETTLE_MS || !isFutile(move, traffic)) return true;
      this.#pausedUntilMs = nowMs + PAUSE_MS;
      return false;
    });
  }

  #isMoved(worker: number): boolean {
    return this.#moves.some(({ from, to }) => worker === from || worker === to);
  }
}

/** Whether the CPUs of a move have so little to do that the one where the datagrams arrive could do it alone. */
function isUnderloaded({ from, to }: Move, utilization: readonly number[]): boolean {
  const shares = to === undefined ? utilization : [utilization[from], utilization[to]];
  return shares.reduce((sum, share) => sum + share) < FITS_ONE;
}

/**
 * Whether a move costs more than it gains: its datagrams are not batched, or the other CPU gets many of its own by now.
 */
function isFutile({ from, to }: Move, traffic: readonly Traffic[]): boolean {
  const answering = to === undefined ? traffic : [traffic[to]];
  if (answering.every(({ receives }) => receives === 0)) return false;
  if (!answering.some(isBatched)) return true;
  return to !== undefined && traffic[from].messages > traffic[to].messages / 2;
}

function isBatched({ messages, receives }: Traffic): boolean {
  return receives > 0 && messages >= receives * BATCHED;
}
