import { assertEquals, assertRejects } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { DEFAULT_LAYOUT, IdGenerator, MemoryReservationStore, type Reservation, StoreError } from "../../mod.ts";

const RECORD = { mark: 217_633_249, holder: "", layout: DEFAULT_LAYOUT.key };

/** A store that answers what a test wants it to. */
class DriverStore extends MemoryReservationStore {
  answer: unknown;
  isMade: unknown;

  override async read(nodeId: number): Promise<Reservation | undefined> {
    return "answer" in this && this.answer !== undefined ? this.answer as Reservation : await super.read(nodeId);
  }

  override async compareAndSet(...args: Parameters<MemoryReservationStore["compareAndSet"]>): Promise<boolean> {
    return this.isMade === undefined ? await super.compareAndSet(...args) : this.isMade as boolean;
  }
}

describe("IdGenerator.open, with a store that returns", () => {
  const wrong: Record<string, [answer: unknown, message: string]> = {
    "a mark as text, as drivers of PostgreSQL do": [
      { ...RECORD, mark: "217633249" },
      'DriverStore.read(1) must return a record with an integer as mark, of the type number: got "217633249"',
    ],
    "a mark as bigint": [{ ...RECORD, mark: 5n }, "got 5n"],
    "a mark that is not whole": [{ ...RECORD, mark: 5.5 }, "got 5.5"],
    "a mark that is not exact": [{ ...RECORD, mark: 2 ** 53 }, "got 9007199254740992"],
    "a negative mark": [{ ...RECORD, mark: -1 }, "got -1"],
    "no holder": [{ mark: 5, layout: RECORD.layout }, "a string as holder: got undefined"],
    "a layout that is null": [{ ...RECORD, layout: null }, "a string as layout: got null"],
    "a row of columns": [[5, "", RECORD.layout], "an integer as mark, of the type number: got undefined"],
    "a text": ["217633249", 'must return a record or undefined: got "217633249"'],
    "false": [false, "must return a record or undefined: got false"],
  };
  for (const [what, [answer, message]] of Object.entries(wrong)) {
    it(`${what}: fails, and takes no node`, async () => {
      const store = new DriverStore();
      store.answer = answer;
      await assertRejects(() => IdGenerator.open({ store, nodeId: 1 }), StoreError, message);
      store.answer = undefined;
      assertEquals(await store.read(1), undefined);
    });
  }

  it("null where there is no record: takes it for none", async () => {
    const store = new DriverStore();
    store.answer = null;
    await using ids = await IdGenerator.open({ store, nodeId: 1 });
    assertEquals(ids.nodeId, 1);
  });

  it("a number instead of a boolean: fails", async () => {
    const store = new DriverStore();
    store.isMade = 1;
    const message = "DriverStore.compareAndSet(1, …) must return a boolean: got 1";
    await assertRejects(() => IdGenerator.open({ store, nodeId: 1 }), StoreError, message);
  });
});
