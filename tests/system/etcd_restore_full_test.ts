/**
 * What becomes of ids when etcd forgets: it is restored from a backup, or a record is deleted, while a holder that is
 * cut off from it goes on below its mark. Every id of both holders of the node is kept and compared.
 */
import { assert, assertEquals } from "@std/assert";
import { describe } from "@std/testing/bdd";
import { EtcdReservationStore } from "../../etcd_store.ts";
import { IdGenerator, NodeHeldError, StoreWentBackError } from "../../mod.ts";
import { EtcdCluster, hasEtcd } from "../../testing/etcd_cluster.ts";
import { LossyProxy, type RequestFate } from "../../testing/lossy_proxy.ts";
import { until } from "../../testing/within.ts";
import { itSideBySide } from "../side_by_side.ts";
import { countRepeated, IdStream } from "./id_stream.ts";

if (!hasEtcd) console.warn("etcd and etcdctl are not installed (etcd-server, etcd-client): restores are not tested");

const KEY = "global-id/nodes/7";

/** A node in etcd, one holder that a test can cut off, and another one that takes its node. */
class Scene implements AsyncDisposable {
  readonly #stack = new AsyncDisposableStack();
  readonly cluster: EtcdCluster;
  readonly #proxy: LossyProxy;
  /** What becomes of the first holder's requests. */
  fate: RequestFate = "well";
  readonly #fault: string;
  /** What the holders reported, in their order. */
  readonly reports: unknown[][] = [];

  private constructor(cluster: EtcdCluster, fault: string) {
    this.#fault = fault;
    this.cluster = this.#stack.use(cluster);
    this.#proxy = this.#stack.use(new LossyProxy(cluster.endpoints[0], () => this.fate));
  }

  static async make(fault: string): Promise<Scene> {
    return new Scene(await EtcdCluster.start({ size: 1 }), fault);
  }

  /** Opens the generator that can be cut off, and waits until it has ids. */
  async first(): Promise<IdStream> {
    return await this.#open(this.#proxy.endpoint, {});
  }

  /** Opens the generator that takes the node, and waits until it has ids. */
  async second(options: { trustStore?: boolean } = {}): Promise<IdStream> {
    return await this.#open(this.cluster.endpoints[0], options);
  }

  /** Lets the requests arrive that the first holder has made while it was cut off. */
  async deliverLate(): Promise<string[]> {
    return await this.#proxy.deliverLate();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack[Symbol.asyncDispose]();
  }

  async #open(endpoint: string, options: { trustStore?: boolean }): Promise<IdStream> {
    const store = this.#stack.use(new EtcdReservationStore({ endpoints: [endpoint] }));
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
}

/** Waits until a generator has no more ids, since its reservation is used up. */
async function runsDry(stream: IdStream): Promise<void> {
  await until("the reservation is used up", () => stream.longestGapMs() > 1500);
}

(hasEtcd ? describe : describe.skip)("a node in etcd", () => {
  const cases: [name: string, run: () => Promise<void>][] = [
    ["has no id twice when etcd is restored to before the first claim, and another holder takes it", async () => {
      await using scene = await Scene.make("restore");
      const snapshot = await scene.cluster.snapshot();
      const first = await scene.first();
      scene.fate = "late";
      await scene.cluster.restore(snapshot);
      const second = await scene.second();
      await runsDry(first);
      assertEquals(countRepeated(first, second), 0);
    }],
    ["would have ids twice then if it trusted the store, which shows what this test can see", async () => {
      await using scene = await Scene.make("restore, trusted");
      const snapshot = await scene.cluster.snapshot();
      const first = await scene.first();
      scene.fate = "late";
      await scene.cluster.restore(snapshot);
      const second = await scene.second({ trustStore: true });
      await runsDry(first);
      const repeated = countRepeated(first, second);
      console.log(`${repeated} of ${first.ids.length + second.ids.length} ids came twice`);
      assert(repeated > 0);
    }],
    ["has no id twice when etcd is restored, another takes it, and slow writes of the first arrive then", async () => {
      await using scene = await Scene.make("restore and slow writes");
      const first = await scene.first();
      scene.fate = "late";
      const snapshot = await scene.cluster.snapshot();
      const second = scene.second();
      await scene.cluster.restore(snapshot);
      const { ids } = await second;
      const replies = await scene.deliverLate();
      assert(replies.length > 0);
      scene.fate = "well";
      await until(
        "the first holder learns of the other",
        () => scene.reports[0].some((e) => e instanceof NodeHeldError),
      );
      await (await second).next();
      assert(ids.length > 0);
      assertEquals(countRepeated(first, await second), 0);
    }],
    ["has no id twice when its record is deleted, and another holder takes it", async () => {
      await using scene = await Scene.make("deletion");
      const first = await scene.first();
      scene.fate = "late";
      await scene.cluster.ctl("del", KEY);
      const second = await scene.second();
      await runsDry(first);
      assertEquals(countRepeated(first, second), 0);
    }],
    [
      "stays its holder's when its record is deleted or older than it was, without a gap, and the holder says so",
      async () => {
        await using scene = await Scene.make("deletion and restore");
        const stream = await scene.first();
        const snapshot = await scene.cluster.snapshot();
        const faults: [name: string, forget: () => Promise<unknown>][] = [
          ["deletion", () => scene.cluster.ctl("del", KEY)],
          ["restore", () => scene.cluster.restore(snapshot)],
        ];
        for (const [name, forget] of faults) {
          const reportsBefore = scene.reports[0].length;
          await forget();
          await until("the holder reports it", () => scene.reports[0].slice(reportsBefore).some(isReport));
          assertEquals(await scene.cluster.ctl("get", KEY, "--keys-only"), `${KEY}\n\n`);
          const gapMs = stream.longestGapMs();
          console.log(`${name}: the holder was without ids for ${Math.round(gapMs)} ms at most`);
          assert(gapMs < 1000, `${name}: ${gapMs} ms without ids`);
        }
        assertEquals(countRepeated(stream), 0);
      },
    ],
  ];
  itSideBySide(cases, 2);
});

function isReport(error: unknown): boolean {
  return error instanceof StoreWentBackError;
}
