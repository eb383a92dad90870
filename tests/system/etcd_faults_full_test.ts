/**
 * What becomes of ids when a cluster of etcd fails: real members, killed and stopped, under a real generator. Prints a
 * table of the time without ids.
 */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { EtcdReservationStore } from "../../etcd_store.ts";
import { IdGenerator, StoreError } from "../../mod.ts";
import { EtcdCluster, hasEtcd } from "../../testing/etcd_cluster.ts";
import { LossyProxy } from "../../testing/lossy_proxy.ts";
import { countRepeated, IdStream } from "./id_stream.ts";
import { LiveHolders } from "./live_holders.ts";

if (!hasEtcd) console.warn("etcd and etcdctl are not installed (etcd-server, etcd-client): its faults are not tested");

/** For how long a fault of one member lasts, in ms: longer than an election. */
const FAULT_MS = 6000;

/** For how long all members are away, in ms: longer than any reservation lasts. */
const OUTAGE_MS = 20_000;

const wait = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** A fault that leaves a majority of the members. */
const FAULTS: [name: string, fault: (cluster: EtcdCluster) => Promise<void>][] = [
  ["leader paused for 6 s", async (cluster) => {
    const leader = await cluster.leader();
    leader.pause();
    await wait(FAULT_MS);
    leader.resume();
  }],
  ["follower paused for 6 s", async (cluster) => {
    const follower = await cluster.follower();
    follower.pause();
    await wait(FAULT_MS);
    follower.resume();
  }],
  ["leader killed, started after 6 s", async (cluster) => {
    const leader = await cluster.leader();
    await leader.kill();
    await wait(FAULT_MS);
    leader.start();
  }],
];

/** How long two renewals take, after which the reservation is as long as it can be, in ms. */
const RENEWALS_MS = 4000;

/** For how long replies get lost, in ms. */
const LOSS_MS = 15_000;

/** A database that a test fills in a moment, and that has more than enough room for renewals, in bytes. */
const QUOTA_BYTES = 2_000_000;

/** A fault after which etcd takes no writes, and its end. */
interface Outage {
  readonly name: string;
  readonly begin: (cluster: EtcdCluster) => unknown;
  readonly end: (cluster: EtcdCluster) => unknown;
}

const ALL_PAUSED: Outage = {
  name: "all paused",
  begin: ({ members }) => members.forEach((member) => member.pause()),
  end: ({ members }) => members.forEach((member) => member.resume()),
};

const OUTAGES: Outage[] = [
  {
    name: "majority killed",
    begin: ({ members }) => Promise.all(members.slice(1).map((member) => member.kill())),
    end: ({ members }) => members.slice(1).forEach((member) => member.start()),
  },
  ALL_PAUSED,
  { name: "quota full", begin: fillQuota, end: emptyQuota },
];

const ALL_KILLED: Outage = {
  name: "all killed, and started again",
  begin: ({ members }) => Promise.all(members.map((member) => member.kill())),
  end: ({ members }) => members.forEach((member) => member.start()),
};

/**
 * Outages during which nobody can renew, and how long they last, in ms. A look fails after 10 s at members that are
 * silent, after 1.5 s at members that are killed; 4 s later comes the next one, and then 8 s later. So claimers are at
 * the third look when the members are back. That one would do if the first two counted.
 */
const SILENCES: [outage: Outage, ms: number][] = [[ALL_PAUSED, 36_000], [ALL_KILLED, 15_000]];

/** How much sooner than the holders the claimers find out that etcd is back, in ms: they are on other machines. */
const LAG_MS = 500;

/** For how long a claimer waits at most, in ms, until it looks again at a store that was slow to list the records. */
const PATIENCE_MS = 32_000;

/** Writes what is none of the generator's business until etcd takes no more. */
async function fillQuota({ endpoints }: EtcdCluster): Promise<void> {
  using store = new EtcdReservationStore({ endpoints, prefix: "others" });
  let record = await store.read(0);
  await assertRejects(
    async () => {
      while (true) {
        const next = crypto.randomUUID().repeat(14_000);
        if (await store.compareAndSet(0, record, next)) record = next;
      }
    },
    StoreError,
    "its quota is full",
  );
}

/** Does what the error says that an operator should do. */
async function emptyQuota(cluster: EtcdCluster): Promise<void> {
  using store = new EtcdReservationStore({ endpoints: cluster.endpoints, prefix: "others" });
  await store.read(0);
  await cluster.ctl("compact", `${store.history?.revision}`);
  await cluster.ctl("defrag");
  await cluster.ctl("alarm", "disarm");
}

(hasEtcd ? describe : describe.skip)("ids from etcd", () => {
  const rows: Record<string, number | string>[] = [];

  it("go on without a second's gap through the faults of one member, and for 8 s without etcd", async () => {
    await using cluster = await EtcdCluster.start({ flags: ["--quota-backend-bytes", `${QUOTA_BYTES}`] });
    using store = new EtcdReservationStore({ endpoints: cluster.endpoints });
    await using generator = await IdGenerator.open({ store, nodeId: 7, onError: (error) => errors.push(error) });
    const errors: unknown[] = [];
    await generator.waitForId();
    using stream = new IdStream(generator);

    for (const [name, fault] of FAULTS) {
      await fault(cluster);
      await cluster.healthy();
      const gapMs = stream.longestGapMs();
      rows.push({ fault: name, "ids go on for (ms)": "always", "without ids (ms)": Math.round(gapMs) });
      assert(gapMs < 1000, `${name}: ${gapMs} ms without ids`);
    }
    for (const { name, begin, end } of OUTAGES) {
      await wait(RENEWALS_MS);
      const beganMs = performance.now();
      await begin(cluster);
      await wait(OUTAGE_MS);
      const wentOnMs = stream.lastMs - beganMs;
      assert(wentOnMs < OUTAGE_MS - 1000, `${name}: the outage outlasts the reservation`);
      await end(cluster);
      await cluster.healthy();
      const backMs = performance.now();
      await stream.next();
      const afterMs = Math.max(0, stream.lastMs - backMs);
      rows.push({
        fault: `${name}, 20 s`,
        "ids go on for (ms)": Math.round(wentOnMs),
        "without ids (ms)": Math.round(stream.longestGapMs()),
        "back after (ms)": Math.round(afterMs),
      });
      console.table(rows);
      assert(wentOnMs >= 8000, `${name}: ids went on for ${wentOnMs} ms`);
      assert(afterMs < 1000, `${name}: ids were back ${afterMs} ms after etcd`);
    }
    console.log([...new Set(errors.map(String))].join("\n"));
    assertEquals(generator.nodeId, 7);
    assertEquals(countRepeated(stream), 0);
  });

  it("go on without a second's gap while 30 % of the replies get lost", async () => {
    await using cluster = await EtcdCluster.start();
    await using stack = new AsyncDisposableStack();
    let requests = 0;
    const fateOf = () => [0, 3, 6].includes(requests++ % 10) ? "reply lost" : "well";
    const proxies = cluster.endpoints.map((endpoint) => stack.use(new LossyProxy(endpoint, fateOf)));
    using store = new EtcdReservationStore({ endpoints: proxies.map(({ endpoint }) => endpoint) });
    await using generator = await IdGenerator.open({ store, nodeId: 7 });
    await generator.waitForId();
    using stream = new IdStream(generator);
    const lost = () => proxies.reduce((sum, proxy) => sum + proxy.lost, 0);
    const lostBefore = lost();
    await wait(LOSS_MS);
    const gapMs = stream.longestGapMs();
    rows.push({ fault: "30 % of replies lost, for 15 s", "without ids (ms)": Math.round(gapMs) });
    console.table(rows);
    console.log(`${lost() - lostBefore} replies lost`);
    assert(lost() > lostBefore);
    assert(gapMs < 1000, `${gapMs} ms without ids`);
    assertEquals(countRepeated(stream), 0);
  });

  for (const [{ name, begin, end }, ms] of SILENCES) {
    it(`stay with their live holders, whoever looks for a node: ${name}`, async () => {
      await using cluster = await EtcdCluster.start();
      await using stack = new AsyncDisposableStack();
      let isAway = false;
      const fateOf = () => isAway ? "late" : "well";
      const proxies = cluster.endpoints.map((endpoint) => stack.use(new LossyProxy(endpoint, fateOf)));
      const opener = (endpoints: string[]) => () => new EtcdReservationStore({ endpoints });
      await using holders = await LiveHolders.start({
        openHoldersStore: opener(proxies.map(({ endpoint }) => endpoint)),
        openClaimersStore: opener(cluster.endpoints),
      });
      isAway = true;
      await begin(cluster);
      await wait(ms);
      await end(cluster);
      await cluster.leader();
      await wait(LAG_MS);
      isAway = false;
      await wait(PATIENCE_MS);
      await holders.claimersHaveLooked();
      await holders.assertAllHold();
    });
  }
});
