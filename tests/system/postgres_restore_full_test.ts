/**
 * What becomes of ids when PostgreSQL forgets: it fails over to a standby that lagged, a commit is cancelled and then
 * lost, or a row is deleted. Every id of both holders of the node is kept and compared.
 */
import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { describe } from "@std/testing/bdd";
import { IdGenerator, StoreError, StoreWentBackError } from "../../mod.ts";
import { PostgresServersStore } from "../../lib/reservation/stores/postgres_servers_store.ts";
import { CuttingProxy } from "../../testing/cutting_proxy.ts";
import { hasPostgres, PostgresCluster, type PostgresServer } from "../../testing/postgres_cluster.ts";
import { until } from "../../testing/within.ts";
import { itSideBySide } from "../side_by_side.ts";
import { countRepeated, IdStream } from "./id_stream.ts";

if (!hasPostgres) console.warn("PostgreSQL is not installed (postgresql): what it forgets is not tested");

/** The backends that wait for a synchronous standby. */
const WAITING = "FROM pg_stat_activity WHERE wait_event = 'SyncRep'";

/** A node in PostgreSQL, one holder that a test can cut off, and another one that takes its node. */
class Scene implements AsyncDisposable {
  readonly #stack = new AsyncDisposableStack();
  readonly cluster: PostgresCluster;
  readonly #proxy: CuttingProxy;
  readonly #fault: string;
  /** What the holders reported, in their order. */
  readonly reports: unknown[][] = [];

  private constructor(cluster: PostgresCluster, fault: string) {
    this.#fault = fault;
    this.cluster = this.#stack.use(cluster);
    this.#proxy = this.#stack.use(new CuttingProxy(cluster.primary.port, () => false));
  }

  /** Starts a primary and a standby. */
  static async make(fault: string, standby: { isSynchronous: boolean }): Promise<Scene> {
    return new Scene(await PostgresCluster.start({ standbys: [standby] }), fault);
  }

  get standby(): PostgresServer {
    return this.cluster.standbys[0];
  }

  /** Opens the generator that can be cut off, and waits until it has ids. */
  async first(): Promise<IdStream> {
    return await this.open([this.#proxy.host]);
  }

  /** Cuts the first generator off for good. */
  async cutOff(): Promise<void> {
    await this.#proxy[Symbol.asyncDispose]();
  }

  /** Opens a generator with node 7, by these servers, and waits until it has ids. */
  async open(hosts: readonly string[], options: { trustStore?: boolean } = {}): Promise<IdStream> {
    const url = `postgres://postgres@${hosts.join(",")}/postgres`;
    const store = this.#stack.use(await PostgresServersStore.fromUrl(url));
    const reports: unknown[] = [];
    this.reports.push(reports);
    const onError = (error: unknown) => void reports.push(error);
    const beganMs = performance.now();
    const generator = this.#stack.use(await IdGenerator.open({ store, nodeId: 7, onError, ...options }));
    await generator.waitForId();
    const waitedMs = Math.round(performance.now() - beganMs);
    console.log(`${this.#fault}: holder ${this.reports.length} of the node waited for ${waitedMs} ms`);
    return this.#stack.use(new IdStream(generator));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack[Symbol.asyncDispose]();
  }
}

function hostOf({ port }: PostgresServer): string {
  return `127.0.0.1:${port}`;
}

function markOf(server: PostgresServer): Promise<string> {
  return server.sql("SELECT record::json ->> 'mark' FROM global_id_reservation WHERE node_id = 7");
}

/** Waits until a generator has no more ids, since its reservation is used up. */
async function runsDry(stream: IdStream): Promise<void> {
  await until("the reservation is used up", () => stream.longestGapMs() > 1500);
}

function assertNoGap(stream: IdStream, fault: string): void {
  const gapMs = stream.longestGapMs();
  console.log(`${fault}: the holder was without ids for ${Math.round(gapMs)} ms at most`);
  assert(gapMs < 1000, `${fault}: ${gapMs} ms without ids`);
}

/** Has marks written that the standby does not get, and fails over to it. The first generator is cut off by then. */
async function failOverToLaggingStandby(scene: Scene): Promise<IdStream> {
  const { cluster: { primary }, standby } = scene;
  const first = await scene.first();
  await standby.stopFollowing();
  const before = await markOf(standby);
  await until("marks are written", async () => Number(await markOf(primary)) >= Number(before) + 5);
  await scene.cutOff();
  await primary.kill();
  await standby.promote();
  assertEquals(await markOf(standby), before);
  return first;
}

(hasPostgres ? describe : describe.skip)("a node in PostgreSQL", () => {
  const cases: [name: string, run: () => Promise<void>][] = [
    ["has no id twice after a fail-over to a standby that lagged, when another holder takes it", async () => {
      await using scene = await Scene.make("fail-over", { isSynchronous: false });
      const first = await failOverToLaggingStandby(scene);
      const second = await scene.open([hostOf(scene.standby)]);
      await runsDry(first);
      assertEquals(countRepeated(first, second), 0);
    }],
    ["would have ids twice then if the holder trusted the store, which shows what this test can see", async () => {
      await using scene = await Scene.make("fail-over, trusted", { isSynchronous: false });
      const first = await failOverToLaggingStandby(scene);
      const second = await scene.open([hostOf(scene.standby)], { trustStore: true });
      await runsDry(first);
      const repeated = countRepeated(first, second);
      console.log(`with trustStore, ${repeated} of ${first.ids.length + second.ids.length} ids came twice`);
      assert(repeated > 0);
    }],
    [
      "stays its holder's after a fail-over to a standby that lagged, without a gap, and the holder says so",
      async () => {
        await using scene = await Scene.make("fail-over while the holder is there", { isSynchronous: false });
        const { cluster: { primary }, standby } = scene;
        const stream = await scene.open([hostOf(primary), hostOf(standby)]);
        await standby.stopFollowing();
        const before = await markOf(standby);
        await until("marks are written", async () => Number(await markOf(primary)) >= Number(before) + 5);
        await primary.kill();
        await standby.promote();
        await until(
          "the holder reports it",
          () => scene.reports[0].some((error) => error instanceof StoreWentBackError),
        );
        await until(
          "the holder writes its mark again",
          async () => Number(await markOf(standby)) >= Number(before) + 10,
        );
        assertNoGap(stream, "fail-over");
        assertEquals(countRepeated(stream), 0);
      },
    ],
    ["stays its holder's when its row is deleted, without a gap, and the holder says so", async () => {
      await using scene = await Scene.make("deletion while the holder is there", { isSynchronous: true });
      const stream = await scene.first();
      await scene.cluster.primary.sql("DELETE FROM global_id_reservation");
      await until("the holder reports it", () => scene.reports[0].some((error) => error instanceof StoreWentBackError));
      await until("the row is there", async () => await markOf(scene.cluster.primary) !== "");
      assertNoGap(stream, "deletion");
      assertEquals(countRepeated(stream), 0);
    }],
    ["has no id twice when its row is deleted, and another holder takes it", async () => {
      await using scene = await Scene.make("deletion", { isSynchronous: true });
      const first = await scene.first();
      await scene.cutOff();
      await scene.cluster.primary.sql("DELETE FROM global_id_reservation");
      const second = await scene.open([hostOf(scene.cluster.primary)]);
      await runsDry(first);
      assertEquals(countRepeated(first, second), 0);
    }],
    ["counts no change whose commit was cancelled, and has no id twice when a fail-over loses it", async () => {
      await using scene = await Scene.make("cancelled commits", { isSynchronous: true });
      const { cluster: { primary }, standby } = scene;
      // What a user's sessions have must not matter.
      await primary.sql("ALTER DATABASE postgres SET synchronous_commit = off");
      await primary.sql("ALTER DATABASE postgres SET client_min_messages = error");
      const first = await scene.first();
      await standby.stopFollowing();
      const before = Number(await markOf(standby));
      using store = await PostgresServersStore.fromUrl(scene.cluster.url);
      const change = assertRejects(
        () => store.compareAndSet(8, undefined, "a"),
        StoreError,
        "PostgreSQL may lose the change of node 8 with a fail-over: canceling wait for synchronous replication",
      );
      const cancel = () => primary.sql(`SELECT count(pg_cancel_backend(pid)) ${WAITING}`);
      await until("marks are seen that the standby does not have", async () => {
        await cancel();
        return Number(await markOf(primary)) > before + 5;
      });
      await change;
      assertMatch(scene.reports[0].join("\n"), /canceling wait for synchronous replication/);
      await scene.cutOff();
      await primary.kill();
      await standby.promote();
      assertEquals(Number(await markOf(standby)), before);
      const second = await scene.open([hostOf(standby)]);
      await runsDry(first);
      assertEquals(countRepeated(first, second), 0);
    }],
  ];
  itSideBySide(cases, 2);
});
