import { MemoryReservationStore, type Reservation, type ReservationStore } from "../../mod.ts";

/** What is to happen to the next change: it fails before it is made, after it is made, or not at all. */
export type Fate = "before" | "after" | "well";

/** A store whose changes fail as a test wants them to. */
export class FlakyStore implements ReservationStore {
  readonly #store = new MemoryReservationStore();
  readonly fates: Fate[] = [];
  #heldReply: Promise<void> | undefined;

  /** Makes the next change at once, but lets its reply wait for what is returned. */
  holdNextReply(): PromiseWithResolvers<void> {
    const reply = Promise.withResolvers<void>();
    this.#heldReply = reply.promise;
    return reply;
  }

  /** Whether nothing answers. */
  isOut = false;
  changes = 0;

  async read(nodeId: number): Promise<Reservation | undefined> {
    if (this.isOut) throw new Error("out of reach");
    return await this.#store.read(nodeId);
  }

  async compareAndSet(nodeId: number, expected: Reservation | undefined, next: Reservation): Promise<boolean> {
    const fate = this.fates.shift() ?? "well";
    if (this.isOut || fate === "before") throw new Error("out of reach");
    const isSet = await this.#store.compareAndSet(nodeId, expected, next);
    if (isSet) this.changes++;
    const held = this.#heldReply;
    this.#heldReply = undefined;
    await held;
    if (fate === "after") throw new Error("the reply got lost");
    return isSet;
  }
}
