import { decodeReservation, type Reservation } from "../../lib/reservation/reservation.ts";
import { MemoryReservationStore, type ReservationStore } from "../../mod.ts";

/**
 * What is to happen to the next change: it fails before it is made, after it is made, or not at all; or it fails, and
 * is still on its way to the store.
 */
export type Fate = "before" | "after" | "late" | "well";

/** A store whose changes fail as a test wants them to. */
export class FlakyStore implements ReservationStore {
  readonly isLocal: boolean = true;
  #store = new MemoryReservationStore();
  readonly fates: Fate[] = [];
  #heldReply: Promise<void> | undefined;
  readonly #late: (() => Promise<boolean>)[] = [];

  /** Is told of every change that is made. */
  onChange: (next: Reservation) => void = () => {};

  /** Makes the next change at once, but lets its reply wait for what is returned. */
  holdNextReply(): PromiseWithResolvers<void> {
    const reply = Promise.withResolvers<void>();
    this.#heldReply = reply.promise;
    return reply;
  }

  /** Does not do so after all, if there was no change. */
  holdNoReply(): void {
    this.#heldReply = undefined;
  }

  /** Whether nothing answers. */
  isOut = false;
  changes = 0;

  /** How many changes are on their way. */
  get lateCount(): number {
    return this.#late.length;
  }

  /** Lets a change arrive that is on its way, and returns whether it was made. */
  async arrive(index: number = 0): Promise<boolean> {
    const [change] = this.#late.splice(index, 1);
    return await change();
  }

  /** Goes back to an earlier state, as `list` has returned it. */
  async goBack(state: ReadonlyMap<number, string>): Promise<void> {
    this.#store = new MemoryReservationStore();
    for (const [nodeId, record] of state) await this.#store.compareAndSet(nodeId, undefined, record);
  }

  async read(nodeId: number): Promise<string | undefined> {
    if (this.isOut) throw new Error("out of reach");
    return await this.#store.read(nodeId);
  }

  async list(): Promise<ReadonlyMap<number, string>> {
    if (this.isOut) throw new Error("out of reach");
    return await this.#store.list();
  }

  async compareAndSet(nodeId: number, expected: string | undefined, next: string): Promise<boolean> {
    const fate = this.fates.shift() ?? "well";
    const change = async () => {
      const isSet = await this.#store.compareAndSet(nodeId, expected, next);
      if (!isSet) return false;
      this.changes++;
      this.onChange(decodeReservation(next));
      return true;
    };
    if (!this.isOut && fate === "late") this.#late.push(change);
    if (this.isOut || fate === "before" || fate === "late") throw new Error("out of reach");
    const isSet = await change();
    const held = this.#heldReply;
    this.#heldReply = undefined;
    await held;
    if (fate === "after") throw new Error("the reply got lost");
    return isSet;
  }
}
