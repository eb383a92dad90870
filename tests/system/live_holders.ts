import { assert, assertEquals } from "@std/assert";
import { IdGenerator, IdLayout, NodeHeldError, type ReservationStore } from "../../mod.ts";
import { until } from "../../testing/within.ts";

/** The default layout, with 16 nodes. */
const LAYOUT = new IdLayout({ timeBits: 37, sequenceBits: 17, nodeBits: 4, tickMs: 1000, epochMs: 0 });

const CLAIMERS = 8;

/** How long after another the next claimer begins, in ms: a fault is to find each at another step of its claim. */
const STAGGER_MS = 250;

const wait = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** How long a claimer pauses after a claim that failed, in ms: while the store is away, it may fail at once. */
const PAUSE_MS = 100;

type OpenStore = () => ReservationStore & Disposable;

/** How holders and claimers reach the store: each has a connection of its own. */
export interface StoreOpeners {
  readonly openHoldersStore: OpenStore;
  readonly openClaimersStore: OpenStore;
}

/** Live holders of all nodes of a layout, and claimers that look for a free one, or one to take, all the while. */
export class LiveHolders implements AsyncDisposable {
  readonly #stack = new AsyncDisposableStack();
  readonly #holders: IdGenerator[] = [];
  readonly #ended = new AbortController();
  /** What the holders reported. */
  readonly #errors: unknown[] = [];
  /** How often each claimer has found that all nodes are held. */
  readonly #refusals: number[] = Array(CLAIMERS).fill(0);
  /** The nodes that claimers got. */
  readonly #taken: number[] = [];

  private constructor() {}

  /** Takes all nodes, and lets the claimers begin. */
  static async start({ openHoldersStore, openClaimersStore }: StoreOpeners): Promise<LiveHolders> {
    const started = new LiveHolders();
    try {
      for (let i = 0; i <= LAYOUT.maxNodeId; i++) await started.#hold(openHoldersStore());
      for (let i = 0; i < CLAIMERS; i++) started.#claim(openClaimersStore(), i);
      await started.claimersHaveLooked();
      return started;
    } catch (error) {
      await started[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Waits until each claimer has looked at all nodes from now on, and has found that they are held, or has got one. */
  async claimersHaveLooked(): Promise<void> {
    const before = [...this.#refusals];
    // The claim after one that may be under way.
    const areRefused = () => this.#refusals.every((count, i) => count >= before[i] + 2);
    await until("the claimers have looked", () => this.#taken.length > 0 || areRefused());
  }

  /** Checks that each holder still has its node, and ids, and that no claimer ever got a node. */
  async assertAllHold(): Promise<void> {
    assertEquals(this.#taken, [], "nodes that claimers got");
    assertEquals(this.#errors.filter((error) => error instanceof NodeHeldError), [], "holders that lost their nodes");
    const ids = await Promise.all(this.#holders.map((holder) => holder.waitForId()));
    assertEquals(new Set(ids.map((id) => LAYOUT.unpack(id).nodeId)).size, LAYOUT.maxNodeId + 1);
    assert(this.#errors.length > 0, "no holder has noticed the fault");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ended.abort();
    await this.#stack[Symbol.asyncDispose]();
  }

  async #hold(store: ReservationStore & Disposable): Promise<void> {
    this.#stack.use(store);
    const onError = (error: unknown) => void this.#errors.push(error);
    this.#holders.push(this.#stack.use(await IdGenerator.open({ store, layout: LAYOUT, onError })));
  }

  #claim(store: ReservationStore & Disposable, claimer: number): void {
    this.#stack.use(store);
    const claims = this.#claimUntilTaken(store, claimer);
    this.#stack.defer(() => claims);
  }

  async #claimUntilTaken(store: ReservationStore, claimer: number): Promise<void> {
    const { signal } = this.#ended;
    await wait(claimer * STAGGER_MS);
    while (!signal.aborted) {
      try {
        await using generator = await IdGenerator.open({ store, layout: LAYOUT, signal });
        this.#taken.push(generator.nodeId);
        return;
      } catch (error) {
        if (error instanceof NodeHeldError) this.#refusals[claimer]++;
        await wait(PAUSE_MS);
      }
    }
  }
}
