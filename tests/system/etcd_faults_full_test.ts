/**
 * What becomes of ids when a cluster of etcd fails: real members, killed and stopped, under a real generator. Prints a
 * table of the time without ids.
 */
import { assert, assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { EtcdReservationStore } from "../../etcd_store.ts";
import { IdGenerator } from "../../mod.ts";
import { EtcdCluster, hasEtcd } from "../../testing/etcd_cluster.ts";
import { countRepeated, IdStream } from "./id_stream.ts";

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

/** A fault that leaves no majority for 20 s. */
const OUTAGES: [name: string, end: (cluster: EtcdCluster) => Promise<void>, mend: (cluster: EtcdCluster) => void][] = [
  [
    "majority killed",
    async ({ members }) => void await Promise.all(members.slice(1).map((member) => member.kill())),
    ({ members }) => members.slice(1).forEach((member) => member.start()),
  ],
  [
    "all paused",
    ({ members }) => Promise.resolve(members.forEach((member) => member.pause())),
    ({ members }) => members.forEach((member) => member.resume()),
  ],
];

(hasEtcd ? describe : describe.skip)("ids from etcd", () => {
  it("go on without a second's gap through the faults of one member, and for 8 s without etcd", async () => {
    await using cluster = await EtcdCluster.start();
    using store = new EtcdReservationStore({ endpoints: cluster.endpoints });
    const rows: Record<string, number | string>[] = [];
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
    for (const [name, end, mend] of OUTAGES) {
      const endedMs = performance.now();
      await end(cluster);
      await wait(OUTAGE_MS);
      const wentOnMs = stream.lastMs - endedMs;
      assert(wentOnMs < OUTAGE_MS - 1000, `${name}: the outage outlasts the reservation`);
      mend(cluster);
      await cluster.healthy();
      const backMs = performance.now();
      await stream.next();
      const afterMs = Math.max(0, stream.lastMs - backMs);
      rows.push({ fault: name, "ids go on for (ms)": Math.round(wentOnMs), "back after (ms)": Math.round(afterMs) });
      console.table(rows);
      assert(wentOnMs >= 8000, `${name}: ids went on for ${wentOnMs} ms`);
      assert(afterMs < 1000, `${name}: ids were back ${afterMs} ms after etcd`);
      stream.longestGapMs();
    }
    console.table(rows);
    console.log([...new Set(errors.map(String))].join("\n"));
    assertEquals(generator.nodeId, 7);
    assertEquals(countRepeated(stream), 0);
  });
});
