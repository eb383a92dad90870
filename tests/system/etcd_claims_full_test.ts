/** Claims by many machines at once, from real etcd: each gets a node of its own, in few round trips. */
import { assert, assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { EtcdReservationStore } from "../../etcd_store.ts";
import { DEFAULT_LAYOUT, IdLayout } from "../../mod.ts";
import { EtcdCluster, hasEtcd } from "../../testing/etcd_cluster.ts";
import { LossyProxy } from "../../testing/lossy_proxy.ts";
import { claimAll, type Claims } from "./claim_all.ts";

if (!hasEtcd) {
  console.warn("etcd and etcdctl are not installed (etcd-server, etcd-client): claims are not tested with it");
}

/** The default layout, with 128 nodes. */
const SMALL_LAYOUT = new IdLayout({ timeBits: 37, sequenceBits: 17, nodeBits: 7, tickMs: 1000, epochMs: 0 });

(hasEtcd ? describe : describe.skip)("claims from etcd", () => {
  const table: Record<string, unknown>[] = [];

  /** Claims at once, and checks that every machine has a node of its own, after few round trips. */
  async function check(what: string, stores: readonly EtcdReservationStore[], claims: Claims) {
    const { count, layout } = claims;
    const { nodeIds, median, most, seconds } = await claimAll(stores, claims);
    table.push({
      claims: `${count} of ${layout.maxNodeId + 1}, ${what}`,
      "calls: median": median,
      "at most": most,
      s: Math.round(seconds),
    });
    console.table(table);
    assertEquals(new Set(nodeIds).size, count);
    assert(median <= 10, `${what}: ${median} calls in the median`);
  }

  it("give many machines at once a node each, whether the nodes are free or their holders are gone", async () => {
    await using cluster = await EtcdCluster.start();
    await using stack = new AsyncDisposableStack();
    const { endpoints } = cluster;
    const open = (prefix: string) =>
      Array.from({ length: 50 }, () => stack.use(new EtcdReservationStore({ endpoints, prefix })));
    const [few, some, all] = ["few", "some", "all"].map(open);
    const layout = DEFAULT_LAYOUT;
    await check("all free", few, { count: 50, atOnce: 50, layout });
    await check("all free", all, { count: 1024, atOnce: 64, layout });
    await check("all holders gone", all, { count: 50, atOnce: 50, layout });
    for (const what of ["all free", "all holders gone"]) {
      await check(what, some, { count: 128, atOnce: 128, layout: SMALL_LAYOUT });
    }
  });

  it("succeed, all of a hundred, when 30 % of the replies get lost", async () => {
    await using cluster = await EtcdCluster.start();
    await using stack = new AsyncDisposableStack();
    const proxies = cluster.endpoints.map((endpoint) =>
      stack.use(new LossyProxy(endpoint, () => Math.random() < 0.3 ? "reply lost" : "well"))
    );
    const endpoints = proxies.map(({ endpoint }) => endpoint);
    const stores = Array.from({ length: 100 }, () => stack.use(new EtcdReservationStore({ endpoints })));
    await check("30 % of replies lost", stores, { count: 100, atOnce: 100, layout: DEFAULT_LAYOUT });
    assert(proxies.every(({ lost }) => lost > 0));
  });
});
