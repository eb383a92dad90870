/**
 * Three machines with a network each, as docs/scaling.md has them: a member of etcd and a server of any node on each.
 * They are cut off, slowed down and frozen. Every id is kept, and none may come twice. Prints a table of the time
 * without ids.
 */
import { assert, assertEquals, assertNotEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { EtcdReservationStore } from "../../etcd_store.ts";
import { DEFAULT_LAYOUT } from "../../mod.ts";
import { EtcdCluster, hasEtcd } from "../../testing/etcd_cluster.ts";
import { ServerProcess } from "../../testing/server_process.ts";
import { TempDir } from "../../testing/temp_dir.ts";
import { until } from "../../testing/within.ts";
import { IdRecorder } from "./id_recorder.ts";
import { MachineNetwork, whyNoMachines } from "./machine_network.ts";

const whyNot = hasEtcd ? await whyNoMachines() : "etcd and etcdctl are not installed (etcd-server, etcd-client)";
if (whyNot !== undefined) console.warn(`several machines are not tested: ${whyNot}`);

const NAMES = ["a", "b", "c"];

const PORT = 9999;

/** For how long a fault lasts, in ms: longer than any reservation does. */
const FAULT_MS = 20_000;

/** How far ahead a node is reserved before a fault, in ms, at least: by 10 s, and up to 1.8 s later again. */
const RENEWED_MS = 8500;

const wait = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** The node of the last id of a recorder. */
function nodeOf({ ids }: IdRecorder): number {
  const last = ids.at(-1);
  assert(last !== undefined, "there is no id");
  return DEFAULT_LAYOUT.unpack(last.id).nodeId;
}

/** A server on a machine, and who asks it there. */
class MachineServer implements AsyncDisposable {
  readonly name: string;
  readonly server: ServerProcess;
  readonly recorder: IdRecorder;
  readonly #state: TempDir;

  private constructor(name: string, server: ServerProcess, recorder: IdRecorder, state: TempDir) {
    this.name = name;
    this.server = server;
    this.recorder = recorder;
    this.#state = state;
  }

  /** Starts one and waits for its first id. */
  static async start(network: MachineNetwork, store: string, name: string, flags: string[]): Promise<MachineServer> {
    const [runner, address] = [network.runnerOf(name), network.addressOf(name)];
    const state = await TempDir.make();
    const server = await ServerProcess.start({
      ...{ state, runner, port: flags.includes("--port") ? 0 : PORT },
      flags: ["--store", store, "--host", address, "--workers", "1", ...flags],
    });
    const started = new MachineServer(name, server, new IdRecorder(runner, address, server.ports[0]), state);
    await started.recorder.next();
    return started;
  }

  /** Sends a signal to all of its processes. */
  async signal(signal: Deno.Signal): Promise<void> {
    for (const pid of [this.server.pid, ...await this.server.workerPids()]) Deno.kill(pid, signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.recorder[Symbol.asyncDispose]();
    await this.server[Symbol.asyncDispose]();
    await this.server.workersEnded();
    await this.#state[Symbol.asyncDispose]();
  }
}

/** Three machines, with etcd and a server on each. */
class Cluster implements AsyncDisposable {
  readonly network: MachineNetwork;
  readonly etcd: EtcdCluster;
  readonly servers: MachineServer[] = [];
  readonly #stack: AsyncDisposableStack;
  readonly #rows: Record<string, string>[] = [];

  private constructor(network: MachineNetwork, etcd: EtcdCluster, stack: AsyncDisposableStack) {
    this.network = network;
    this.etcd = etcd;
    this.#stack = stack;
  }

  static async start(): Promise<Cluster> {
    await using stack = new AsyncDisposableStack();
    const network = stack.use(await MachineNetwork.make(NAMES));
    const machines = NAMES.map((name) => ({ address: network.addressOf(name), runner: network.runnerOf(name) }));
    const etcd = stack.use(await EtcdCluster.start({ machines }));
    const cluster = new Cluster(network, etcd, stack.move());
    try {
      await Promise.all(NAMES.map((name) => cluster.startServer(name)));
      return cluster;
    } catch (error) {
      await cluster[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** The URL of the store. */
  get store(): string {
    return `etcd://${this.etcd.endpoints.map((endpoint) => new URL(endpoint).host).join(",")}/machines`;
  }

  async startServer(name: string, flags: string[] = []): Promise<MachineServer> {
    const server = this.#stack.use(await MachineServer.start(this.network, this.store, name, flags));
    this.servers.push(server);
    return server;
  }

  on(name: string): MachineServer {
    return this.servers.find((server) => server.name === name) as MachineServer;
  }

  /** Waits until all servers give out ids. */
  async allServe(): Promise<void> {
    await Promise.all(this.servers.map(({ recorder }) => recorder.next()));
  }

  /** Waits until all nodes are reserved as far ahead as ever: just after the store is back, they are not. */
  async allRenewed(): Promise<void> {
    using store = await EtcdReservationStore.fromUrl(this.store);
    const aheadMs = async ({ recorder }: MachineServer) => {
      const { mark } = JSON.parse(await store.read(nodeOf(recorder)) ?? "{}");
      return DEFAULT_LAYOUT.epochMs + mark * DEFAULT_LAYOUT.tickMs - Date.now();
    };
    await until("all nodes are reserved far ahead", async () => {
      return Math.min(...await Promise.all(this.servers.map(aheadMs))) > RENEWED_MS;
    });
  }

  /**
   * Connects machines again, and returns when, and how many ms after that there were ids on all of them, and etcd was
   * back: all members served or, if it was one machine that had no majority, another member served that one.
   */
  async mend(...names: readonly string[]): Promise<{ endedMs: number; backMs: number; etcdMs: number }> {
    const endedMs = Date.now();
    await this.network.connect(names);
    const [first, ...others] = names;
    const healthy = others.length > 0
      ? this.etcd.healthy()
      : this.etcd.healthy([this.etcd.members[(NAMES.indexOf(first) + 1) % NAMES.length]], this.network.runnerOf(first));
    const etcdMs = healthy.then(() => Date.now() - endedMs);
    const backMs = Math.max(...await Promise.all(names.map((name) => this.on(name).recorder.next()))) - endedMs;
    return { endedMs, backMs, etcdMs: await etcdMs };
  }

  note(fault: string, times: Record<string, number>): void {
    const seconds = Object.entries(times).map(([name, ms]) => [name, (ms / 1000).toFixed(2)]);
    this.#rows.push({ fault, ...Object.fromEntries(seconds) });
    console.table(this.#rows);
  }

  assertUnique(): void {
    const ids = this.servers.flatMap(({ recorder }) => recorder.ids.map(({ id }) => id));
    assert(ids.length > 1000, `only ${ids.length} ids were received`);
    assertEquals(ids.length - new Set(ids).size, 0, "ids that came twice");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack[Symbol.asyncDispose]();
  }
}

(whyNot === undefined ? describe : describe.skip)("servers on three machines", () => {
  it("give out no id twice, and go on as long as they may, through cuts, loss, delay and a freeze", async () => {
    await using cluster = await Cluster.start();
    const { network, servers } = cluster;
    const [a, b, c] = NAMES.map((name) => cluster.on(name));
    assertEquals(new Set(servers.map(({ recorder }) => nodeOf(recorder))).size, 3);

    // One machine is cut off, and so from the store, whose other two members go on.
    let beganMs = Date.now();
    await network.cutOff(["c"]);
    await wait(FAULT_MS);
    const wentOnMs = c.recorder.lastMs - beganMs;
    const term = await cluster.etcd.members[0].term();
    let { endedMs, backMs, etcdMs } = await cluster.mend("c");
    const othersMs = Math.max(...[a, b].map(({ recorder }) => recorder.longestGapMs(beganMs, endedMs + backMs)));
    cluster.note("one machine is cut off for 20 s", {
      ...{ "goes on": wentOnMs, "back after": backMs, "etcd is back after": etcdMs, others: othersMs },
    });
    assert(wentOnMs >= 8000 && wentOnMs < FAULT_MS - 1000, `ids went on for ${wentOnMs} ms`);
    assert(othersMs < 1000, `the other machines were without ids for ${othersMs} ms`);
    assert(backMs < etcdMs + 1000, `ids were back ${backMs} ms after the fault, and etcd ${etcdMs} ms`);
    await cluster.etcd.healthy();
    assertEquals(await cluster.etcd.members[0].term(), term, "the member that came back forced an election");
    await cluster.allServe();

    // All are cut off from each other, and the store has no majority.
    await cluster.allRenewed();
    beganMs = Date.now();
    await network.cutOff(NAMES);
    await wait(FAULT_MS);
    const leastMs = Math.min(...servers.map(({ recorder }) => recorder.lastMs - beganMs));
    ({ endedMs, backMs, etcdMs } = await cluster.mend(...NAMES));
    const times = { "goes on": leastMs, "back after": backMs, "etcd is back after": etcdMs };
    cluster.note("all are cut off from each other for 20 s", times);
    assert(leastMs >= 8000, `ids went on for ${leastMs} ms`);
    assert(backMs < etcdMs + 1000, `ids were back ${backMs} ms after the fault, and etcd ${etcdMs} ms`);

    // The network is slow and lossy. The clients are on the servers' machines, so it is the store that suffers.
    await cluster.allRenewed();
    beganMs = Date.now();
    await network.impair(NAMES, { loss: 0.2, delayMs: 50 });
    await wait(FAULT_MS);
    const gapMs = (toMs: number) => Math.max(...servers.map(({ recorder }) => recorder.longestGapMs(beganMs, toMs)));
    const [earlyMs, allMs] = [gapMs(beganMs + 8000), gapMs(Date.now())];
    ({ endedMs, backMs, etcdMs } = await cluster.mend(...NAMES));
    cluster.note("20 % of the packets are lost, the others 50 ms late, for 20 s", {
      ...{ "without ids": allMs, "back after": backMs, "etcd is back after": etcdMs },
    });
    assert(earlyMs < 1000, `${earlyMs} ms without ids within the first 8 s`);
    assert(backMs < etcdMs + 1000, `ids were back ${backMs} ms after the fault, and etcd ${etcdMs} ms`);

    // A server is frozen for longer than its reservation lasts, and another one takes its node.
    const frozen = nodeOf(c.recorder);
    beganMs = Date.now();
    await c.signal("SIGSTOP");
    const taker = await cluster.startServer("a", ["--port", "0", "--node-id", String(frozen)]);
    const takenMs = Date.now() - beganMs;
    assertEquals(nodeOf(taker.recorder), frozen);
    endedMs = Date.now();
    await c.signal("SIGCONT");
    await c.server.says(/looking for another node/);
    await until("the thawed server has another node", () => nodeOf(c.recorder) !== frozen);
    cluster.note("a server is frozen, and its node taken", {
      "taken after": takenMs,
      "back after": c.recorder.lastMs - endedMs,
    });
    assertNotEquals(nodeOf(c.recorder), nodeOf(b.recorder));
    await taker.recorder.next();
    cluster.assertUnique();
  });
});
