/**
 * What becomes of ids when a cluster of PostgreSQL fails: real servers, killed, stopped and promoted, under a real
 * generator. Prints a table of the time without ids.
 */
import { assert, assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { IdGenerator } from "../../mod.ts";
import { PostgresServersStore } from "../../lib/reservation/stores/postgres_servers_store.ts";
import { CuttingProxy } from "../../testing/cutting_proxy.ts";
import { hasPostgres, PostgresCluster } from "../../testing/postgres_cluster.ts";
import { countRepeated, IdStream } from "./id_stream.ts";

if (!hasPostgres) console.warn("PostgreSQL is not installed (postgresql): its faults are not tested");

/** For how long the primary is away before a standby is promoted, in ms. */
const FAILOVER_MS = 3000;

/** For how long the store is away, in ms: longer than any reservation lasts. */
const OUTAGE_MS = 20_000;

/** How long two renewals take, after which the reservation is as long as it can be, in ms. */
const RENEWALS_MS = 4000;

/** For how long replies get lost, in ms. */
const LOSS_MS = 15_000;

const wait = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** A fault after which nothing serves, and its end. */
const OUTAGES: {
  readonly name: string;
  readonly begin: (cluster: PostgresCluster) => unknown;
  readonly end: (cluster: PostgresCluster) => unknown;
}[] = [
  { name: "primary paused", begin: ({ primary }) => primary.pause(), end: ({ primary }) => primary.resume() },
  {
    name: "primary killed, and started again",
    begin: ({ primary }) => primary.kill(),
    end: async ({ primary, standbys: [standby] }) => {
      await primary.start();
      await primary.isFollowedBy(standby);
    },
  },
  {
    name: "synchronous standby paused",
    begin: ({ standbys: [standby] }) => standby.pause(),
    end: ({ standbys: [standby] }) => standby.resume(),
  },
  {
    name: "all servers paused",
    begin: ({ servers }) => servers.forEach((server) => server.pause()),
    end: ({ servers }) => servers.forEach((server) => server.resume()),
  },
];

/** A fault of the primary, after which the standby is promoted. */
const FAILOVERS: [name: string, fault: (cluster: PostgresCluster) => unknown][] = [
  ["primary killed, standby promoted after 3 s", ({ primary }) => primary.kill()],
  ["primary paused, standby promoted after 3 s", ({ primary }) => primary.pause()],
];

/** Opens a generator with node 7, and waits until it has ids. */
async function open(store: PostgresServersStore, errors: unknown[]): Promise<IdGenerator> {
  const generator = await IdGenerator.open({ store, nodeId: 7, onError: (error) => errors.push(error) });
  await generator.waitForId();
  return generator;
}

/** Loses 30 % of the replies to a store's statements: they have one of these columns. */
function isLost(reply: string): boolean {
  return /history|now_ms/.test(reply) && Math.random() < 0.3;
}

/** The messages of errors, each once. */
function distinct(errors: readonly unknown[]): string {
  return [...new Set(errors.map(String))].join("\n");
}

(hasPostgres ? describe : describe.skip)("ids from PostgreSQL", () => {
  const rows: Record<string, number | string>[] = [];

  it("go on for 8 s without PostgreSQL, and are back within 1 s", async () => {
    await using cluster = await PostgresCluster.start({ standbys: [{ isSynchronous: true }] });
    using store = await PostgresServersStore.fromUrl(cluster.url);
    const errors: unknown[] = [];
    await using generator = await open(store, errors);
    using stream = new IdStream(generator);
    for (const { name, begin, end } of OUTAGES) {
      await wait(RENEWALS_MS);
      const beganMs = performance.now();
      await begin(cluster);
      await wait(OUTAGE_MS);
      const wentOnMs = stream.lastMs - beganMs;
      await end(cluster);
      const backMs = performance.now();
      await stream.next();
      const afterMs = Math.max(0, stream.lastMs - backMs);
      rows.push({
        fault: `${name}, 20 s`,
        "ids go on for (ms)": Math.round(wentOnMs),
        "back after (ms)": Math.round(afterMs),
      });
      console.table(rows);
      assert(wentOnMs < OUTAGE_MS - 1000, `${name}: the outage outlasts the reservation`);
      assert(wentOnMs >= 8000, `${name}: ids went on for ${wentOnMs} ms\n${distinct(errors)}`);
      assert(afterMs < 1000, `${name}: ids were back ${afterMs} ms after PostgreSQL\n${distinct(errors)}`);
      stream.longestGapMs();
    }
    console.log(distinct(errors));
    assertEquals(countRepeated(stream), 0);
  });

  for (const [name, fault] of FAILOVERS) {
    it(`go on without a second's gap: ${name}`, async () => {
      await using cluster = await PostgresCluster.start({ standbys: [{ isSynchronous: true }] });
      const [standby] = cluster.standbys;
      using store = await PostgresServersStore.fromUrl(cluster.url);
      const errors: unknown[] = [];
      await using generator = await open(store, errors);
      using stream = new IdStream(generator);
      await fault(cluster);
      await wait(FAILOVER_MS);
      await standby.promote();
      await wait(OUTAGE_MS);
      // The old primary comes back, as nobody has taken it away: its commits wait for the standby for ever.
      cluster.primary.resume();
      await wait(FAILOVER_MS);
      const gapMs = stream.longestGapMs();
      rows.push({ fault: name, "without ids (ms)": Math.round(gapMs) });
      console.table(rows);
      console.log(distinct(errors));
      assert(gapMs < 1000, `${gapMs} ms without ids\n${distinct(errors)}`);
      assertEquals(countRepeated(stream), 0);
    });
  }

  it("go on without a second's gap while 30 % of the replies get lost", async () => {
    await using cluster = await PostgresCluster.start({ standbys: [{ isSynchronous: true }] });
    await using proxy = new CuttingProxy(cluster.primary.port, isLost);
    using store = await PostgresServersStore.fromUrl(`postgres://postgres@${proxy.host}/postgres`);
    const errors: unknown[] = [];
    await using generator = await open(store, errors);
    using stream = new IdStream(generator);
    await wait(LOSS_MS);
    const gapMs = stream.longestGapMs();
    rows.push({ fault: "30 % of replies lost, for 15 s", "without ids (ms)": Math.round(gapMs) });
    console.table(rows);
    console.log(`${proxy.lost} replies lost\n${distinct(errors)}`);
    assert(proxy.lost > 5);
    assert(gapMs < 1000, `${gapMs} ms without ids`);
    assertEquals(countRepeated(stream), 0);
  });
});
