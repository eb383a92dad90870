import { assert, assertEquals, assertMatch, assertRejects, assertThrows } from "@std/assert";
import { afterAll, beforeAll, describe, it } from "@std/testing/bdd";
import { StoreError } from "../../../mod.ts";
import { PostgresServersStore } from "../../../lib/reservation/stores/postgres_servers_store.ts";
import {
  type PostgresNotice,
  type PostgresQuery,
  PostgresReservationStore,
  type PostgresResult,
} from "../../../lib/reservation/stores/postgres_store.ts";
import { CuttingProxy } from "../../../testing/cutting_proxy.ts";
import { hasPostgres, PostgresCluster } from "../../../testing/postgres_cluster.ts";
import { testStore } from "./store_suite.ts";

if (!hasPostgres) console.warn("PostgreSQL is not installed (postgresql): its store is not tested");

let cluster: PostgresCluster;
let stores = 0;

/** A store of its own for a test, in the one server that all tests share. It has a table of its own. */
async function withStore(use: (store: PostgresServersStore, cluster: PostgresCluster, table: string) => Promise<void>) {
  const table = `test_${++stores}`;
  using store = await PostgresServersStore.fromUrl(`${cluster.url}?table=${table}`);
  await use(store, cluster, table);
}

describe("PostgresReservationStore", () => {
  const row = { is_standby: false, history: null, revision: null, record: "a", made: "1" };
  const storeOf = (query: PostgresQuery) => new PostgresReservationStore({ query });
  const answering = (fields: object, ...notices: PostgresNotice[]) =>
    storeOf(() => Promise.resolve({ rows: [{ ...row, ...fields }], notices }));

  it("does not count a change that comes with a warning", async () => {
    const message = "canceling wait for synchronous replication due to user request";
    for (const warning of [{ code: "01000", message }, { message }]) {
      const store = answering({}, { code: "00000", message: "for your information" }, warning);
      for (const expected of [undefined, "a"]) {
        await assertRejects(
          () => store.compareAndSet(7, expected, "b"),
          StoreError,
          `PostgreSQL may lose the change of node 7 with a fail-over: ${message}`,
        );
      }
    }
    assert(await answering({}, { code: "00000" }).compareAndSet(7, "a", "b"));
  });

  it("counts a change only if a row was changed", async () => {
    for (const expected of [undefined, "a"]) {
      assert(await answering({ made: "1" }).compareAndSet(7, expected, "b"));
      assert(!await answering({ made: "0" }).compareAndSet(7, expected, "b"));
    }
  });

  it("believes no standby", async () => {
    const store = answering({ is_standby: true });
    for (const call of [() => store.read(7), () => store.list()]) {
      await assertRejects(call, StoreError, "is a standby, whose records may be old: name the primary");
    }
  });

  it("keeps the history of the statement that was sent last, whichever answer comes first", async () => {
    const answers: PromiseWithResolvers<PostgresResult>[] = [];
    const store = storeOf(() => {
      answers.push(Promise.withResolvers());
      return answers[answers.length - 1].promise;
    });
    const reads = [store.read(7)];
    // Until the clock has moved on.
    for (const askedMs = performance.now(); performance.now() === askedMs;);
    reads.push(store.read(7));
    answers[1].resolve({ rows: [{ ...row, history: "1/1", revision: "5" }], notices: [] });
    await reads[1];
    answers[0].resolve({ rows: [{ ...row, history: "1/1", revision: "4" }], notices: [] });
    await reads[0];
    assertEquals(store.history, { id: "1/1", revision: 5 });
  });

  it("refuses a query function that hands over no notices, or no rows", async () => {
    for (const result of [undefined, { rows: [row] }, { rows: [], notices: [] }, [row]]) {
      const store = storeOf(() => Promise.resolve(result as unknown as PostgresResult));
      await assertRejects(() => store.read(7), StoreError, "must return { rows, notices }");
    }
  });

  it("names what the driver says, as the cause", async () => {
    const error = Object.assign(new Error("no room"), { code: "53100" });
    const store = storeOf(() => Promise.reject(error));
    const { cause } = await assertRejects(
      () => store.read(7),
      StoreError,
      "PostgreSQL refuses: no room; make room on the server's disk",
    );
    assertEquals(cause, error);
  });

  it("refuses a name of a table that needs escapes", () => {
    for (const table of ["", "a.b.c", 'a"b', "a b", "1a", ".a", "a.", "é", "a".repeat(64)]) {
      const query: PostgresQuery = () => Promise.reject(new Error());
      assertThrows(() => new PostgresReservationStore({ query, table }), SyntaxError, "must be NAME or SCHEMA.NAME");
    }
  });
});

(hasPostgres ? describe : describe.skip)("PostgresReservationStore, with PostgreSQL", () => {
  beforeAll(async () => {
    cluster = await PostgresCluster.start();
  });
  afterAll(() => cluster[Symbol.asyncDispose]());

  testStore("PostgreSQL", withStore);

  it("keeps the record of a node as a row, in the table that was asked for", async () => {
    await withStore(async (store, { primary, url }, table) => {
      await store.compareAndSet(7, undefined, "a");
      assertEquals(await primary.sql(`SELECT * FROM ${table}`), "7|a");
      await primary.sql('CREATE SCHEMA "Ids"');
      using other = await PostgresServersStore.fromUrl(`${url}?table=Ids.Order`);
      await other.compareAndSet(8, undefined, "b");
      assertEquals(await primary.sql('SELECT * FROM "Ids"."Order"'), "8|b");
    });
  });

  it("makes its table once, however many need it at once", async () => {
    await withStore(async (_, { url }, table) => {
      using stores = new DisposableStack();
      const opened = await Promise.all(Array.from({ length: 20 }, async () => {
        return stores.use(await PostgresServersStore.fromUrl(`${url}?table=${table}_2`));
      }));
      const made = await Promise.all(opened.map((store, i) => store.compareAndSet(i, undefined, "a")));
      assert(made.every((isMade) => isMade));
      assertEquals((await opened[0].list()).size, 20);
    });
  });

  it("asks for the table where the user may not make it, and for no more than it needs", async () => {
    await withStore(async (_, { primary, url }, table) => {
      await primary.sql("CREATE USER reader");
      await primary.sql("REVOKE EXECUTE ON FUNCTION pg_control_system() FROM PUBLIC");
      using store = await PostgresServersStore.fromUrl(`${url.replace("postgres@", "reader@")}?table=${table}_3`);
      const create = `CREATE TABLE IF NOT EXISTS "${table}_3" (node_id integer PRIMARY KEY, record text`;
      const { message } = await assertRejects(() => store.read(7), StoreError, `somebody who may run: ${create}`);
      const [, statement] = /may run: (.*); and grant/.exec(message) ?? [];
      await primary.sql(statement);
      await assertRejects(() => store.read(7), StoreError, "; grant the user SELECT, INSERT and UPDATE on the table");
      await primary.sql(`GRANT SELECT, INSERT, UPDATE ON ${table}_3 TO reader`);
      assert(await store.compareAndSet(7, undefined, "a"));
      assert(await store.compareAndSet(7, "a", "b"));
      assertEquals(await store.list(), new Map([[7, "b"]]));
      assertEquals(store.history, undefined);
      await primary.sql("GRANT EXECUTE ON FUNCTION pg_control_system() TO PUBLIC");
    });
  });

  it("changes a record once where all transactions are to be serializable", async () => {
    await withStore(async (store, { primary, url }, table) => {
      await primary.sql("CREATE USER strict SUPERUSER");
      await primary.sql("ALTER USER strict SET default_transaction_isolation = serializable");
      await store.compareAndSet(7, undefined, "a");
      using stores = new DisposableStack();
      const changes = Array.from({ length: 5 }, async (_, i) => {
        const user = url.replace("postgres@", "strict@");
        const strict = stores.use(await PostgresServersStore.fromUrl(`${user}?table=${table}`));
        return await strict.compareAndSet(7, "a", `b${i}`);
      });
      assertEquals((await Promise.all(changes)).filter((isMade) => isMade).length, 1);
    });
  });

  it("knows a change for its own that was made before", async () => {
    await withStore(async (store) => {
      for (const [expected, next] of [[undefined, "a"], ["a", "b"]] as const) {
        assert(await store.compareAndSet(7, expected, next));
        assert(await store.compareAndSet(7, expected, next));
        assertEquals(await store.read(7), next);
      }
      assert(!await store.compareAndSet(7, "a", "c"));
      assert(!await store.compareAndSet(7, undefined, "c"));
    });
  });

  it("writes again a change that was made before, so that it is where this answer says it is", async () => {
    await withStore(async (store, { primary }, table) => {
      const versionOf = () => primary.sql(`SELECT xmin FROM ${table}`);
      for (const [expected, next] of [[undefined, "a"], ["a", "b"]] as const) {
        await store.compareAndSet(7, expected, next);
        const version = await versionOf();
        await store.compareAndSet(7, expected, next);
        assert(await versionOf() !== version);
      }
    });
  });

  it("waits for the standby with each change, and hears of it if that fails, whatever the user's sessions do", async () => {
    await withStore(async (store, { primary, url }, table) => {
      await store.read(7);
      await primary.sql("CREATE USER hasty SUPERUSER; ALTER USER hasty SET synchronous_commit = off");
      await primary.sql("ALTER USER hasty SET client_min_messages = error");
      // This trigger fires as late as the commit.
      await primary.sql(`
        CREATE TABLE setting (value text, level text);
        CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS
          'BEGIN
            INSERT INTO setting VALUES (current_setting(''synchronous_commit''), current_setting(''client_min_messages''));
            RETURN NULL;
          END';
        CREATE CONSTRAINT TRIGGER note AFTER INSERT OR UPDATE ON ${table}
          DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION note()`);
      using hasty = await PostgresServersStore.fromUrl(`${url.replace("postgres@", "hasty@")}?table=${table}`);
      await hasty.compareAndSet(7, undefined, "a");
      await hasty.compareAndSet(7, "a", "b");
      assertEquals(await primary.sql("SELECT * FROM setting"), "on|warning\non|warning");
    });
  });

  it("repeats a statement whose reply got lost", async () => {
    await withStore(async (store, { primary }, table) => {
      await store.read(7);
      let isLost = true;
      await using proxy = new CuttingProxy(
        primary.port,
        (reply) => isLost && reply.includes("made") && !(isLost = false),
      );
      using unlucky = await PostgresServersStore.fromUrl(`postgres://postgres@${proxy.host}/postgres?table=${table}`);
      for (const [expected, next] of [[undefined, "a"], ["a", "b"]] as const) {
        isLost = true;
        assert(await unlucky.compareAndSet(7, expected, next));
        assert(!isLost);
        assertEquals(await store.read(7), next);
      }
    });
  });

  it("connects anew when the server has ended its connection", async () => {
    await withStore(async (store, { primary }) => {
      assert(await store.compareAndSet(7, undefined, "a"));
      await primary.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'global-id'");
      assert(await store.compareAndSet(7, "a", "b"));
    });
  });

  it("tells the server's time", async () => {
    await withStore(async (store) => {
      const beforeMs = Date.now();
      const nowMs = await store.now();
      assert(nowMs >= beforeMs && nowMs <= Date.now() + 1);
    });
  });

  it("tells the timeline and how far it is", async () => {
    await withStore(async (store) => {
      assertEquals(store.history, undefined);
      await store.read(7);
      const before = store.history;
      assertMatch(before?.id ?? "", /^[0-9]{15,}\/00000001$/);
      await store.compareAndSet(7, undefined, "a");
      await store.read(7);
      assertEquals(store.history?.id, before?.id);
      assert((store.history?.revision ?? NaN) > (before?.revision ?? NaN));
    });
  });

  it("is shared by machines", async () => {
    await withStore((store) => Promise.resolve(assert(!("isLocal" in store))));
  });

  it("fails when it is closed", async () => {
    await withStore(async (store) => {
      await store.read(7);
      store.close();
      store[Symbol.dispose]();
      await assertRejects(() => store.read(7), StoreError, "the PostgreSQL store is closed");
    });
  });
});
