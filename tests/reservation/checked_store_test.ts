import { assert, assertEquals, assertRejects } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { CheckedStore } from "../../lib/reservation/checked_store.ts";
import { DEFAULT_LAYOUT, IdGenerator, MemoryReservationStore, StoreError } from "../../mod.ts";
import { foundRecord } from "./record_of.ts";

const { text: TEXT, record: RECORD } = foundRecord({ mark: 217_633_249, layout: DEFAULT_LAYOUT.key });

/** A store that answers what a test wants it to. */
class DriverStore extends MemoryReservationStore {
  answer: unknown;
  isMade: unknown;
  time: unknown;

  override async read(nodeId: number): Promise<string | undefined> {
    return this.answer === undefined ? await super.read(nodeId) : this.answer as string;
  }

  override async compareAndSet(...args: Parameters<MemoryReservationStore["compareAndSet"]>): Promise<boolean> {
    return this.isMade === undefined ? await super.compareAndSet(...args) : this.isMade as boolean;
  }

  override async list(): Promise<ReadonlyMap<number, string>> {
    return this.answer === undefined ? await super.list() : this.answer as ReadonlyMap<number, string>;
  }

  now(): Promise<number> {
    return Promise.resolve(this.time as number);
  }
}

describe("IdGenerator.open, with a store that returns", () => {
  const wrong: Record<string, [answer: unknown, message: string]> = {
    "a record instead of its text": [RECORD, "DriverStore.read(1) must return the text of a record: got an object"],
    "bytes": [new TextEncoder().encode(TEXT), "must return the text of a record: got an object of Uint8Array"],
    "a number": [5, "must return the text of a record: got 5"],
    "false": [false, "must return the text of a record: got false"],
    "a text that is no record": ["217633249", 'DriverStore.read(1): a record must be a JSON object: got "217633249"'],
    "an empty text": ["", 'DriverStore.read(1): a record must be JSON: got ""'],
    "another record": [TEXT.replace("mark", "mork"), "as mark: got undefined"],
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

describe("CheckedStore", () => {
  it("lists records, and says of each that is none what is wrong", async () => {
    const store = new DriverStore();
    await store.compareAndSet(1, undefined, TEXT);
    await store.compareAndSet(2, undefined, "{}");
    const listed = await CheckedStore.of(store).list();
    assertEquals(listed.get(1), { record: RECORD, text: TEXT });
    assertEquals(
      `${listed.get(2)}`,
      "StoreError: DriverStore.list(), node 2: a record must have an integer from 0 to 9007199254740991 as mark: " +
        "got undefined",
    );
    store.answer = [[1, TEXT]];
    await assertRejects(() => CheckedStore.of(store).list(), StoreError, "list() must return a Map of node ids and");
  });

  it("takes no time that is none", async () => {
    const store = new DriverStore();
    for (const time of ["1795651200000", NaN, undefined, new Date(), 5n]) {
      store.time = time;
      await assertRejects(
        () => CheckedStore.of(store).now(),
        StoreError,
        "now() must return a number of ms since 1970",
      );
    }
    store.time = 5;
    assertEquals(await CheckedStore.of(store).now(), 5);
  });

  it("compares the text that was found, whatever else is in it, and returns what it has written", async () => {
    const memory = new MemoryReservationStore();
    const later = `{"new":[1,{}], ${TEXT.slice(1)} `;
    await memory.compareAndSet(1, undefined, later);
    const store = CheckedStore.of(memory);
    const found = await store.read(1);
    assertEquals(found, { record: RECORD, text: later });
    const made = await store.compareAndSet(1, found, { ...RECORD, beat: 1 });
    assertEquals(made, await store.read(1));
    assertEquals(await store.compareAndSet(1, found, RECORD), undefined);
  });

  it("takes a store for shared unless it says that it is not", () => {
    assert(!CheckedStore.of(new MemoryReservationStore()).isShared);
    const { read, compareAndSet } = new MemoryReservationStore();
    assert(CheckedStore.of({ read, compareAndSet }).isShared);
    assert(CheckedStore.of({ read, compareAndSet, isLocal: false }).isShared);
  });
});
