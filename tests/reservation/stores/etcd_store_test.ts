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
      assertEquals(cluster.ctl("get", `${prefix}/nodes/7`, "--print-value-only"), "a\n");
      for (const key of ["nodes/07", "nodes/x", "nodes/", "nodes/8/9", "nodes0", "node"]) {
        cluster.ctl("put", `${prefix}/${key}`, "other");
      }
      assertEquals(await store.list(), new Map([[7, "a"]]));
      using same = new EtcdReservationStore({ endpoints: cluster.endpoints, prefix: `${prefix}/` });
      assertEquals(await same.read(7), "a");
    });
  });

  it("is shared by machines", async () => {
    await withStore((store) => Promise.resolve(assert(!("isLocal" in store))));
  });

  it("knows a change for its own whose reply got lost, and another's for another's", async () => {
    await withStore(async (store, cluster, prefix) => {
      let isLost = true;
      await using proxy = new LossyProxy(cluster.endpoints[0], () => isLost && !(isLost = false));
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
      cluster.ctl("del", `${prefix}/nodes/7`);
      cluster.ctl("put", `${prefix}/nodes/7`, "a");
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
