/** Claims by many machines at once, from real PostgreSQL: each gets a node of its own, in few round trips. */
import { assert, assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { PostgresServersStore } from "../../lib/reservation/stores/postgres_servers_store.ts";
import { DEFAULT_LAYOUT, IdLayout } from "../../mod.ts";
import { CuttingProxy } from "../../testing/cutting_proxy.ts";
import { hasPostgres, PostgresCluster } from "../../testing/postgres_cluster.ts";
import { claimAll, type Claims } from "./claim_all.ts";

if (!hasPostgres) console.warn("PostgreSQL is not installed (postgresql): claims are not tested with it");

/** A layout with 64 nodes. */
const SMALL_LAYOUT = new IdLayout({ timeBits: 37, sequenceBits: 17, nodeBits: 6, tickMs: 1000, epochMs: 0 });

/** Loses 30 % of the replies to a store's statements: they have one of these columns. */
function isLost(reply: string): boolean {
  return /history|now_ms/.test(reply) && Math.random() < 0.3;
}

(hasPostgres ? describe : describe.skip)("claims from PostgreSQL", () => {
  const table: Record<string, unknown>[] = [];

  /** Claims at once, each by a connection of its own, and checks that each has a node of its own, in few statements. */
  async function check(what: string, url: string, claims: Claims) {
    using stack = new DisposableStack();
    const open = async () => stack.use(await PostgresServersStore.fromUrl(url));
    const stores = await Promise.all(Array.from({ length: claims.atOnce }, open));
    const { nodeIds, median, most, seconds } = await claimAll(stores, claims);
    const { count, layout } = claims;
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
    await using cluster = await PostgresCluster.start();
    const [few, some, all] = ["few", "some", "whole"].map((name) => `${cluster.url}?table=${name}`);
    const layout = DEFAULT_LAYOUT;
    await check("all free", few, { count: 50, atOnce: 50, layout });
    await check("all free", all, { count: 1024, atOnce: 64, layout });
    await check("all holders gone", all, { count: 50, atOnce: 50, layout });
    for (const what of ["all free", "all holders gone"]) {
      await check(what, some, { count: 64, atOnce: 64, layout: SMALL_LAYOUT });
    }
  });

  it("succeed, all of fifty, when 30 % of the replies get lost", async () => {
    await using cluster = await PostgresCluster.start();
    await using proxy = new CuttingProxy(cluster.primary.port, isLost);
    const url = `postgres://postgres@${proxy.host}/postgres`;
    await check("30 % of replies lost", url, { count: 50, atOnce: 50, layout: DEFAULT_LAYOUT });
    assert(proxy.lost > 0);
  });
});
