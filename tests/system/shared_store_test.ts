/** Servers that share etcd, started by the flags that an operator gives. */
import { assert, assertEquals, assertMatch, assertNotEquals, assertRejects } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { IdClient, NoResponseError, recordedServers } from "../../client.ts";
import { EtcdReservationStore } from "../../etcd_store.ts";
import { DEFAULT_LAYOUT } from "../../mod.ts";
import { encodeReservation } from "../../lib/reservation/reservation.ts";
import { CuttingProxy } from "../../testing/cutting_proxy.ts";
import { runDeno } from "../../testing/deno_process.ts";
import { freePorts } from "../../testing/free_ports.ts";
import { EtcdCluster, hasEtcd } from "../../testing/etcd_cluster.ts";
import { hasPostgres, PostgresCluster } from "../../testing/postgres_cluster.ts";
import { ServerProcess } from "../../testing/server_process.ts";
import { TempDir } from "../../testing/temp_dir.ts";
import { until } from "../../testing/within.ts";
import { keyOf } from "../access/keys.ts";

if (!hasEtcd) console.warn("etcd and etcdctl are not installed (etcd-server, etcd-client): servers do not share it");

/** The node that a server serves now: the last one that it has announced. */
function nodeOf(server: ServerProcess): number {
  const announced = [...server.printed.matchAll(/node ([0-9]+) on 127\.0\.0\.1/g)];
  assert(announced.length > 0, server.printed);
  return Number(announced[announced.length - 1][1]);
}

/** The nodes of some ids from a server. */
async function nodesOfIds(port: number): Promise<Set<number>> {
  using client = new IdClient({ port, timeoutMs: 20_000 });
  const ids = await client.nextIds(100);
  return new Set(ids.map((id) => DEFAULT_LAYOUT.unpack(id).nodeId));
}

(hasEtcd ? describe : describe.skip)("servers with --store etcd://…", () => {
  it("take nodes by themselves, the same ones again, and others in place of those that they lose", async () => {
    await using cluster = await EtcdCluster.start({ size: 1 });
    const url = `etcd://${cluster.endpoints.map((endpoint) => endpoint.replace("http://", "")).join(",")}/ids`;
    using store = await EtcdReservationStore.fromUrl(url);
    const flags = ["--store", url, "--workers", "1", "--trust-store"];
    await using first = await ServerProcess.start({ flags });
    await using second = await ServerProcess.start({ flags });
    assertNotEquals(nodeOf(first), nodeOf(second));
    for (const server of [first, second]) {
      assertEquals(await nodesOfIds(server.ports[0]), new Set([nodeOf(server)]));
    }

    // Killed and started again, it goes on where its pool ends.
    const nodeId = nodeOf(first);
    first.kill("SIGKILL");
    await first.ended();
    await using again = await ServerProcess.start({ flags, state: first.state });
    assertEquals([nodeOf(again), again.printed.includes("reservation ends")], [nodeId, false]);

    // Another holder writes the record: a machine that took this one for dead.
    await seize(store, nodeId);
    await again.says(/looking for another node\n[^]*node [0-9]+ on/);
    assertNotEquals(nodeOf(again), nodeId);
    assertNotEquals(nodeOf(again), nodeOf(second));
    assertEquals(await nodesOfIds(again.ports[0]), new Set([nodeOf(again)]));
  });

  it("go on looking for another node while the store is away, until they are stopped", async () => {
    await using cluster = await EtcdCluster.start({ size: 1 });
    const [endpoint] = cluster.endpoints;
    // The server reads its own record, and hears so that its node is gone; it gets no list of the records, and does not
    // hear that another node has none.
    let isAway = false;
    const isLost = (reply: string) => isAway && /"count":"[23]"|\{"header":\{[^}]*\}\}/.test(reply);
    await using proxy = new CuttingProxy(Number(new URL(endpoint).port), isLost);
    using store = await EtcdReservationStore.fromUrl(endpoint.replace("http://", "etcd://"));
    const flags = ["--store", `etcd://${proxy.host}`, "--workers", "1", "--trust-store"];
    await using server = await ServerProcess.start({ flags });
    const lost = nodeOf(server);
    assert(await store.compareAndSet((lost + 1) % 1024, undefined, await store.read(lost) ?? ""));
    isAway = true;
    await seize(store, lost);
    await server.says(/looking for another node\n.*no node can be had: .+; trying again until one can\n/);
    isAway = false;
    await server.says(/trying again until one can\n[^]*node [0-9]+ on/);
    assertNotEquals(nodeOf(server), lost);
    assertEquals(await nodesOfIds(server.ports[0]), new Set([nodeOf(server)]));

    isAway = true;
    await seize(store, nodeOf(server));
    await server.says(/trying again[^]*trying again until one can\n/);
    assertEquals((await server.stop()).code, 0);
    assertMatch(server.printed, /trying again until one can\n$/, "it ends without a word");
  });

  it("are found by clients that look into the store, and not once they have ended", async () => {
    await using cluster = await EtcdCluster.start({ size: 1 });
    const url = cluster.endpoints[0].replace("http://", "etcd://");
    using store = await EtcdReservationStore.fromUrl(url);
    const [port, other] = freePorts(2);
    const flags = ["--store", url, "--workers", "1", "--trust-store"];
    await using first = await ServerProcess.start({ flags, port });
    {
      await using second = await ServerProcess.start({ flags, port: other });
      assertEquals((await recordedServers(store)()).sort(), [`127.0.0.1:${port}`, `127.0.0.1:${other}`].sort());
      await second.stop();
    }
    assertEquals(await recordedServers(store)(), [`127.0.0.1:${port}`]);
    using client = new IdClient({ servers: `store:${url}`, timeoutMs: 20_000 });
    const id = await client.nextId();
    assertEquals(DEFAULT_LAYOUT.unpack(id).nodeId, nodeOf(first));
  });

  it("have the store's name for their cluster, as clients have that look into the store", async () => {
    await using cluster = await EtcdCluster.start({ size: 1 });
    const url = `${cluster.endpoints[0].replace("http://", "etcd://")}/orders`;
    await using state = await TempDir.make();
    const key = keyOf(3);
    const keyFile = `${state.path}/key`;
    await Deno.writeTextFile(keyFile, key.toHex(), { mode: 0o600 });
    const flags = ["--store", url, "--workers", "1", "--trust-store", "--key-file", keyFile];
    const [port] = freePorts(1);
    await using server = await ServerProcess.start({ state, flags, port });
    const servers = `store:${url}`;
    using client = new IdClient({ servers, key, timeoutMs: 20_000 });
    assertEquals(DEFAULT_LAYOUT.unpack(await client.nextId()).nodeId, nodeOf(server));
    const { code, stdout, stderr } = await runDeno({
      deno: ["run", "--quiet", "-P=id", `--allow-read=${state.path}`],
      program: "id_command.ts",
      args: ["--servers", servers, "--key-file", keyFile, "--count", 3],
    });
    assertEquals([code, stdout.trim().split("\n").length], [0, 3], stderr);

    // The server answers signed requests in their turn: it has passed over one of another cluster.
    using other = new IdClient({ servers, key, cluster: "global-id", retransmitMs: 100, timeoutMs: 1000 });
    await assertRejects(() => other.nextId(), NoResponseError);
  });

  it("refuse a node of the operator's that another one holds, with its name and since when", async () => {
    await using cluster = await EtcdCluster.start({ size: 1 });
    const url = cluster.endpoints[0].replace("http://", "etcd://");
    const flags = ["--store", url, "--workers", "1", "--trust-store", "--node-id", "7"];
    const [port] = freePorts(1);
    await using holder = await ServerProcess.start({ flags, port });
    assertEquals(nodeOf(holder), 7);
    await using refused = await ServerProcess.spawn({ flags });
    assertEquals((await refused.ended()).code, 1);
    const [, address] = /server \(.+, at (.+), version .+, since 20.+\)/.exec(refused.printed) ?? [];
    assertEquals(address, `127.0.0.1:${port}`, refused.printed);
  });

  it("say that their record was deleted, and write it again", async () => {
    await using cluster = await EtcdCluster.start({ size: 1 });
    const url = cluster.endpoints[0].replace("http://", "etcd://");
    using store = await EtcdReservationStore.fromUrl(url);
    await using server = await ServerProcess.start({ flags: ["--store", url, "--workers", "1", "--trust-store"] });
    const nodeId = nodeOf(server);
    assertEquals(await cluster.ctl("del", `global-id/nodes/${nodeId}`), "1\n");
    await server.says(new RegExp(`the record of node ${nodeId} is gone: the store has gone back; this holder writes`));
    await until("the record is there", async () => await store.read(nodeId) !== undefined);
    assertEquals(await nodesOfIds(server.ports[0]), new Set([nodeId]));
  });
});

(hasPostgres ? describe : describe.skip)("a server with --store postgres://…", () => {
  it("takes a node by itself, and gives it back", async () => {
    await using cluster = await PostgresCluster.start();
    const flags = ["--store", cluster.url, "--workers", "1", "--trust-store"];
    for (let round = 0; round < 2; round++) {
      await using server = await ServerProcess.start({ flags });
      assertEquals(await nodesOfIds(server.ports[0]), new Set([nodeOf(server)]));
      assertEquals((await server.stop()).code, 0);
    }
  });
});

/** Takes a node from its holder. */
async function seize(store: EtcdReservationStore, nodeId: number): Promise<void> {
  while (true) {
    const text = await store.read(nodeId);
    assert(text !== undefined);
    const record = JSON.parse(text);
    const next = encodeReservation({ ...record, beat: record.beat + 1, holder: "another/attempt", info: {} });
    if (await store.compareAndSet(nodeId, text, next)) return; // or else the holder was faster
  }
}
