import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { afterAll, beforeAll, describe, it } from "@std/testing/bdd";
import { StoreError } from "../../../mod.ts";
import { EtcdReservationStore } from "../../../lib/reservation/stores/etcd_store.ts";
import { EtcdCluster, hasEtcd } from "../../../testing/etcd_cluster.ts";
import { LossyProxy } from "../../../testing/lossy_proxy.ts";
import { ScriptedMember } from "./scripted_member.ts";
import { testStore } from "./store_suite.ts";

if (!hasEtcd) console.warn("etcd and etcdctl are not installed (etcd-server, etcd-client): its store is not tested");

let cluster: EtcdCluster;
let stores = 0;

/** A store of its own for a test, in the one member that all tests share. It has a prefix of its own. */
async function withStore(use: (store: EtcdReservationStore, cluster: EtcdCluster, prefix: string) => Promise<void>) {
  const prefix = `test-${++stores}`;
  using store = new EtcdReservationStore({ endpoints: cluster.endpoints, prefix });
  await use(store, cluster, prefix);
}

(hasEtcd ? describe : describe.skip)("EtcdReservationStore, with etcd", () => {
  beforeAll(async () => {
    cluster = await EtcdCluster.start({ size: 1 });
  });
  afterAll(() => cluster[Symbol.asyncDispose]());

  testStore("etcd", withStore);

  it("keeps the record of a node under PREFIX/nodes/ID, and lists no other keys", async () => {
    await withStore(async (store, cluster, prefix) => {
      await store.compareAndSet(7, undefined, "a");
      assertEquals(await cluster.ctl("get", `${prefix}/nodes/7`, "--print-value-only"), "a\n");
      for (const key of ["nodes/07", "nodes/x", "nodes/", "nodes/8/9", "nodes0", "node"]) {
        await cluster.ctl("put", `${prefix}/${key}`, "other");
      }
      assertEquals(await store.list(), new Map([[7, "a"]]));
      using same = new EtcdReservationStore({ endpoints: cluster.endpoints, prefix: `${prefix}/` });
      assertEquals(await same.read(7), "a");
    });
  });

  it("lists what is there now, however often and whatever has become of the keys before", async () => {
    await withStore(async (store, cluster, prefix) => {
      using other = new EtcdReservationStore({ endpoints: cluster.endpoints, prefix });
      await cluster.ctl("put", `${prefix}/nodes/x`, "other");
      for (const nodeId of [1, 2, 3]) await other.compareAndSet(nodeId, undefined, "a");
      assertEquals(await store.list(), new Map([[1, "a"], [2, "a"], [3, "a"]]));
      await other.compareAndSet(2, "a", "b");
      await other.compareAndSet(4, undefined, "a");
      assertEquals(await store.list(), new Map([[1, "a"], [2, "b"], [3, "a"], [4, "a"]]));
      assertEquals(await store.list(), new Map([[1, "a"], [2, "b"], [3, "a"], [4, "a"]]));
      await cluster.ctl("del", `${prefix}/nodes/3`);
      assertEquals(await store.list(), new Map([[1, "a"], [2, "b"], [4, "a"]]));
      await cluster.ctl("del", `${prefix}/nodes/4`);
      await other.compareAndSet(5, undefined, "a");
      assertEquals(await store.list(), new Map([[1, "a"], [2, "b"], [5, "a"]]));
      await cluster.ctl("del", "--prefix", `${prefix}/`);
      assertEquals(await store.list(), new Map());
    });
  });

  it("is shared by machines", async () => {
    await withStore((store) => Promise.resolve(assert(!("isLocal" in store))));
  });

  it("knows a change for its own whose reply got lost, and another's for another's", async () => {
    await withStore(async (store, cluster, prefix) => {
      let isLost = true;
      await using proxy = new LossyProxy(cluster.endpoints[0], () => {
        const fate = isLost ? "reply lost" : "well";
        isLost = false;
        return fate;
      });
      using unlucky = new EtcdReservationStore({ endpoints: [proxy.endpoint], prefix });
      for (const [expected, next] of [[undefined, "a"], ["a", "b"]] as const) {
        isLost = true;
        assert(await unlucky.compareAndSet(7, expected, next));
        assertEquals(await store.read(7), next);
      }
      assertEquals([proxy.lost, proxy.requests], [2, 4]);
      assert(!await unlucky.compareAndSet(7, "a", "c"));
      assert(!await unlucky.compareAndSet(7, undefined, "c"));
    });
  });

  it("compares values, not revisions: a record that was put back is as it was", async () => {
    await withStore(async (store, cluster, prefix) => {
      await store.compareAndSet(7, undefined, "a");
      await cluster.ctl("del", `${prefix}/nodes/7`);
      await cluster.ctl("put", `${prefix}/nodes/7`, "a");
      assert(await store.compareAndSet(7, "a", "b"));
    });
  });

  it("tells etcd's time, to within half a second and the time of the call", async () => {
    await withStore(async (store) => {
      const beforeMs = Date.now();
      const nowMs = await store.now();
      assert(nowMs >= beforeMs - 500 && nowMs <= Date.now() + 500);
    });
  });

  it("tells the cluster and its revision", async () => {
    await withStore(async (store) => {
      assertEquals(store.history, undefined);
      await store.read(7);
      const before = store.history;
      await store.compareAndSet(7, undefined, "a");
      assertEquals(store.history, { id: before?.id, revision: (before?.revision ?? NaN) + 1 });
    });
  });

  it("fails when it is closed", async () => {
    await withStore(async (store) => {
      store.close();
      store[Symbol.dispose]();
      await assertRejects(() => store.read(7), StoreError, "the etcd store is closed");
    });
  });
});

describe("EtcdReservationStore", () => {
  it("names the key of a value that is no text", async () => {
    const kvs = [{ key: btoa("global-id/nodes/7"), value: btoa("\xff") }];
    await using member = new ScriptedMember(() => Response.json({ kvs }));
    using store = new EtcdReservationStore({ endpoints: [member.endpoint] });
    await assertRejects(() => store.read(7), StoreError, "etcd has no text at global-id/nodes/7");
    await assertRejects(() => store.list(), StoreError, "etcd has no text at global-id/nodes/7");
  });

  describe("compareAndSet", () => {
    const key = btoa("global-id/nodes/7");
    const found = (value: string) => ({ responses: [{ response_range: { kvs: [{ key, value: btoa(value) }] } }] });

    /** Changes the record, and returns what etcd was asked, and whether the change counts as made. */
    async function change(expected: string | undefined, answer: unknown) {
      let asked: unknown;
      await using member = new ScriptedMember((body) => {
        asked = body;
        return Response.json(answer);
      });
      using store = new EtcdReservationStore({ endpoints: [member.endpoint] });
      return { isMade: await store.compareAndSet(7, expected, "b"), asked };
    }

    const success = [{ request_put: { key, value: btoa("b") } }];
    const failure = [{ request_range: { key } }];

    it("names the record that it replaces, by its value", async () => {
      const { isMade, asked } = await change("a", { succeeded: true });
      assertEquals([isMade, asked], [true, {
        compare: [{ key, target: "VALUE", value: btoa("a") }],
        ...{ success, failure },
      }]);
    });

    it("says that there is to be none", async () => {
      const { isMade, asked } = await change(undefined, { succeeded: true });
      assertEquals([isMade, asked], [true, { compare: [{ key, target: "VERSION", version: "0" }], success, failure }]);
    });

    it("is made if it was made before, and not if there is another record, or none", async () => {
      assert((await change("a", found("b"))).isMade);
      assert(!(await change("a", found("c"))).isMade);
      assert(!(await change("a", { responses: [{ response_range: {} }] })).isMade);
    });
  });

  describe("list", () => {
    const kv = (nodeId: number, text: string) => ({ key: btoa(`global-id/nodes/${nodeId}`), value: btoa(text) });
    const answer = (cluster_id: string, revision: string, count: string, ...kvs: unknown[]) =>
      Response.json({ header: { cluster_id, revision }, count, kvs });

    /** Lists twice: what the first listing gave is known. Returns what the second one asked for, and what it gave. */
    async function listTwice(...answers: Response[]) {
      const conditions: unknown[] = [];
      await using member = new ScriptedMember(({ min_mod_revision }) => {
        conditions.push(min_mod_revision);
        return answers.shift();
      });
      using store = new EtcdReservationStore({ endpoints: [member.endpoint] });
      await store.list();
      return { list: await store.list(), conditions };
    }

    it("asks only for what has changed since the last time", async () => {
      const { list, conditions } = await listTwice(
        answer("1", "9007199254740993", "2", kv(1, "a"), kv(2, "a")),
        answer("1", "9007199254740995", "2", kv(2, "b")),
      );
      assertEquals(list, new Map([[1, "a"], [2, "b"]]));
      assertEquals(conditions, [undefined, "9007199254740994"]);
    });

    const restored: [name: string, answer: () => Response][] = [
      ["is another one", () => answer("2", "9", "1")],
      ["counts its revisions anew", () => answer("1", "4", "1")],
      ["has lost keys", () => answer("1", "9", "0")],
    ];
    for (const [name, second] of restored) {
      it(`asks for everything when the cluster ${name}`, async () => {
        const all = answer("2", "9", "1", kv(2, "b"));
        const { list, conditions } = await listTwice(answer("1", "5", "1", kv(1, "a")), second(), all);
        assertEquals(list, new Map([[2, "b"]]));
        assertEquals(conditions, [undefined, "6", undefined]);
      });
    }
  });

  it("ends its calls when it is closed", async () => {
    const { promise: hasCome, resolve } = Promise.withResolvers<void>();
    await using member = new ScriptedMember(() => void resolve());
    const store = new EtcdReservationStore({ endpoints: [member.endpoint] });
    const reading = assertRejects(() => store.read(7), StoreError, "the etcd store is closed");
    await hasCome;
    store.close();
    await reading;
    assertEquals(member.requests, 1);
  });

  it("refuses to have no endpoint, or one that is no address", () => {
    assertThrows(() => new EtcdReservationStore({ endpoints: [] }), TypeError, "needs an endpoint");
    for (const endpoint of ["10.0.0.1:2379", "ftp://a", "http://a/b", "http://u:p@a", "http://a?b"]) {
      assertThrows(
        () => new EtcdReservationStore({ endpoints: [endpoint] }),
        SyntaxError,
        "an endpoint of etcd is http",
      );
    }
  });
});
