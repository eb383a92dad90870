import { assert, assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import type { ReservationStore } from "../../../mod.ts";

const A = '{"mark":5,"beat":1,"holder":"a","layout":"x","info":{}}';
const B = '{"mark":9,"beat":2,"holder":"b","layout":"x","info":{}}';

/**
 * The tests that every store must pass.
 *
 * @param name The kind of the store.
 * @param withStore Calls its argument with an empty store.
 */
export function testStore(
  name: string,
  withStore: (use: (store: ReservationStore) => Promise<void>) => Promise<void>,
): void {
  const test = (what: string, use: (store: ReservationStore) => Promise<void>) => it(what, () => withStore(use));

  describe(`a reservation store: ${name}`, () => {
    test("has nothing on record for a new node, and a record a node", async (store) => {
      assertEquals(await store.read(1), undefined);
      assert(await store.compareAndSet(1, undefined, A));
      assert(await store.compareAndSet(2, undefined, B));
      assertEquals([await store.read(1), await store.read(2), await store.read(3)], [A, B, undefined]);
    });

    test("changes a record only if it is as expected, in every character", async (store) => {
      assert(!await store.compareAndSet(1, A, B));
      assert(await store.compareAndSet(1, undefined, A));
      assert(!await store.compareAndSet(1, undefined, B));
      for (const other of [A.replace("5", "6"), ` ${A}`, `${A} `, A.toUpperCase(), A.replace("5", "5.0"), "", B]) {
        assert(!await store.compareAndSet(1, other, B), other);
      }
      assertEquals(await store.read(1), A);
      assert(await store.compareAndSet(1, A, B));
      assertEquals(await store.read(1), B);
    });

    test("keeps any text as it is", async (store) => {
      const texts = [
        "",
        " ",
        "é 漢 😀 \u2028",
        "'; DROP TABLE reservation; --",
        '"\\\n\t',
        "{",
        "5",
        "x".repeat(16_000),
      ];
      for (const [nodeId, text] of texts.entries()) {
        assert(await store.compareAndSet(nodeId, undefined, A));
        assert(await store.compareAndSet(nodeId, A, text));
        assertEquals(await store.read(nodeId), text);
        assert(await store.compareAndSet(nodeId, text, B));
      }
    });

    test("lists all records", async (store) => {
      assertEquals(await store.list?.(), new Map());
      await store.compareAndSet(3, undefined, A);
      await store.compareAndSet(1023, undefined, B);
      assertEquals(await store.list?.(), new Map([[3, A], [1023, B]]));
    });

    test("lets one of several win that make a change at once", async (store) => {
      await store.compareAndSet(1, undefined, A);
      const changes = Array.from({ length: 20 }, (_, i) => store.compareAndSet(1, A, A.replace("5", `${100 + i}`)));
      const winners = (await Promise.all(changes)).flatMap((isMade, i) => isMade ? [100 + i] : []);
      assertEquals(winners.length, 1);
      assertEquals(await store.read(1), A.replace("5", `${winners[0]}`));
    });
  });
}
