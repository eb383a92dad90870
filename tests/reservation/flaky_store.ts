import { MemoryReservationStore, type Reservation, type ReservationStore } from "../../mod.ts";

/** What is to happen to the next change: it fails before it is made, after it is made, or not at all. */
export type Fate = "before" | "after" | "well";

/** A store whose changes fail as a test wants them to. */
export class FlakyStore implements ReservationStore {
  readonly #store = new MemoryReservationStore();
  readonly fates: Fate[] = [];
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
    if (fate === "after") throw new Error("the reply got lost");
    return isSet;
  }
}
