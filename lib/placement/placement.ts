import type { Traffic } from "../udp/reuseport.ts";

/** From this share of the time on in which it does something, a CPU has no room for more. */
const HOT = 0.9;
/** Up to this share, a CPU has room for another one's datagrams. */
const ROOMY = 0.5;
/** What two CPUs do together, as a share of the time of one, up to which one of them could do it alone. */
const FITS_ONE = 0.8;

/**
 * How many messages a receive brings on average, from which on it is throughput that counts. Where they come one by one, each
 * is waited for, and a wake-up across CPUs for each takes longer than all the rest. With all clients on one CPU, in replies a
 * second there and from the other CPU: 1 in flight 94,000 and 18,000 (1.00 messages a receive), 2 in flight 96,000 and 42,000
 * (1.05), 4 clients with one each 114,000 and 249,000 (1.29), 4 in flight of one 120,000 and 157,000 (1.63), 8 in flight 133,000
 * and 297,000 (3.22). So the bound is on the careful side.
 */
const SEVERAL = 1.5;

/** So long after a move, in ms, what the workers have received is all from after it. */
const SETTLE_MS = 1500;

/** After so long without any datagram, in ms, there is nobody to take from: the workers report every 500 ms. */
const SILENCE_MS = 1500;

/** After a move that turned out to be for nothing, the next one waits so long, in ms. */
const REST_MS = 10_000;

/** Stands for no CPU: a worker that takes only what the kernel's hash gives it. */
export const NO_CPU = -1;

/** The datagrams that arrive on one worker's CPU, and who takes them instead. */
interface Move {
  readonly from: number;
  /** The worker that does, whose own CPU's `from` takes meanwhile; `undefined` for all of them, by a hash of the sender. */
  to: number | undefined;
  sinceMs: number;
}

/**
 * Decides which worker takes the datagrams that arrive on which CPU: the worker that is pinned there, which is fastest as long as
 * every CPU has its part. But where all of them arrive on one CPU (a network card with one queue, clients on the same machine)
 * that CPU would be used up while the others have nothing to do: then the worker on the idlest one takes them, and if that one is
 * used up as well, all workers do.
 *
 * It only decides about speed. Which worker answers makes no difference to which ids are unique.
 */
export class Placement {
  readonly #cpus: readonly number[];
  #moves: Move[] = [];
  #restsUntilMs = -Infinity;
  /** When any worker has last received anything. */
  #heardMs = -Infinity;

  /**
   * Begins with every worker's own CPU.
   *
   * @param cpus The CPU that each worker is pinned to, each another one.
   */
  constructor(cpus: readonly number[]) {
    this.#cpus = cpus;
  }

  /** The CPU whose datagrams each worker is to take, or {@linkcode NO_CPU}. */
  get incomingCpus(): number[] {
    const cpus = [...this.#cpus];
    for (const { from, to } of this.#moves) {
      cpus[from] = to === undefined ? NO_CPU : this.#cpus[to];
      if (to !== undefined) cpus[to] = this.#cpus[from];
    }
    return cpus;
  }

  /** Whether every worker takes what arrives on its own CPU. */
  get isHome(): boolean {
    return this.#moves.length === 0;
  }

  /**
   * Decides anew.
   *
   * @param busy The share of the time since the last decision in which each worker's CPU did something, 0 to 1.
   * @param traffic What each worker has received since then.
   * @param nowMs The time, of a clock that is not set.
   */
  update(busy: readonly number[], traffic: readonly Traffic[], nowMs: number): void {
    if (traffic.some(({ receives }) => receives > 0)) this.#heardMs = nowMs;
    this.#moves = this.#moves.filter((move) => {
      if (isCalm(move, busy) || nowMs - this.#heardMs >= SILENCE_MS) return false;
      if (nowMs - move.sinceMs < SETTLE_MS || !isForNothing(move, traffic)) return true;
      this.#restsUntilMs = nowMs + REST_MS;
      return false;
    });
    if (nowMs < this.#restsUntilMs) return;
    const others = busy.map((_, worker) => worker).filter((worker) => !this.#isMoved(worker));
    const idlest = others.toSorted((a, b) => busy[a] - busy[b])[0];
    if (idlest === undefined || busy[idlest] > ROOMY) return;
    const tooMuch = this.#moves.find(({ to }) => to !== undefined && busy[to] >= HOT);
    const from = others.find((worker) => busy[worker] >= HOT && comeTogether(traffic[worker]));
    if (tooMuch !== undefined) {
      tooMuch.to = undefined;
      tooMuch.sinceMs = nowMs;
    } else if (from !== undefined) {
      this.#moves.push({ from, to: idlest, sinceMs: nowMs });
    }
  }

  #isMoved(worker: number): boolean {
    return this.#moves.some(({ from, to }) => worker === from || worker === to);
  }
}

/** Whether there is so little to do that the CPU could do it alone again. */
function isCalm({ from, to }: Move, busy: readonly number[]): boolean {
  const shares = to === undefined ? busy : [busy[from], busy[to]];
  return shares.reduce((sum, share) => sum + share) < FITS_ONE;
}

/** Whether a wake-up across CPUs for each datagram is all that comes of it, or the other CPU has its own to do by now. */
function isForNothing({ from, to }: Move, traffic: readonly Traffic[]): boolean {
  const takers = to === undefined ? traffic : [traffic[to]];
  if (takers.every(({ receives }) => receives === 0)) return false;
  if (!takers.some(comeTogether)) return true;
  return to !== undefined && traffic[from].messages > traffic[to].messages / 2;
}

function comeTogether({ messages, receives }: Traffic): boolean {
  return receives > 0 && messages >= receives * SEVERAL;
}
