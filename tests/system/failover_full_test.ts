/**
 * Two servers, one of which is killed, frozen or cut off, and then the other. Every call is timed: the promise is that
 * none takes 100 ms. Prints a table of the longest calls.
 */
import { assertEquals, assertLess } from "@std/assert";
import { afterAll, describe, it } from "@std/testing/bdd";
import { type Endpoint, IdClient } from "../../client.ts";
import { DEFAULT_LAYOUT } from "../../mod.ts";
import { ControlClient, ownMs, type Span } from "./control_client.ts";
import { ReceivedIds } from "./load.ts";
import { NetworkNamespaces, whyNoNamespaces } from "./network_namespaces.ts";
import { NodeServer } from "./node_server.ts";

/** A client that retransmits nothing within a test: a call that another server does not save never ends. */
const PATIENT = { retransmitMs: 60_000, timeoutMs: 120_000 };

/** Calls under way at once. */
const CALLERS = 8;

/** How long each of them waits between two calls, in ms: at full speed, a node has ids for half a second only. */
const PACE_MS = 1;

/** How many ids are taken before and after a fault. */
const IDS = 2000;

/** Less than this takes every call, in ms, while one of two servers is well, but for pauses of the machine. */
const LONGEST_CALL_MS = 100;

/** Takes ids with several calls at once until stopped, and keeps them all, and how long each call took. */
class Callers {
  readonly ids = new ReceivedIds();
  readonly calls: Span[] = [];
  readonly #client: IdClient;
  readonly #loops: Promise<void>[];
  #isOver = false;

  constructor(client: IdClient) {
    this.#client = client;
    this.#loops = Array.from({ length: CALLERS }, () => this.#loop());
  }

  /** Waits for so many more ids of a node. */
  more(count: number, nodeId: number): Promise<void> {
    return Promise.race([this.ids.more(count, (id) => DEFAULT_LAYOUT.unpack(id).nodeId === nodeId), this.#failed()]);
  }

  /** Waits until the ids tell that so many seconds have passed. */
  async seconds(count: number): Promise<void> {
    const tickOf = (id: bigint) => DEFAULT_LAYOUT.unpack(id).tick;
    let begin: number | undefined;
    await this.ids.more(1, (id) => tickOf(id) >= (begin ??= tickOf(id)) + count);
  }

  /** Waits until all calls have ended. */
  async stop(): Promise<void> {
    this.#isOver = true;
    await Promise.all(this.#loops);
    this.ids.assertUnique();
  }

  async #loop(): Promise<void> {
    while (!this.#isOver) {
      const beginMs = performance.now();
      this.ids.add(await this.#client.nextId());
      this.calls.push({ beginMs, endMs: performance.now() });
      await new Promise((resolve) => setTimeout(resolve, PACE_MS));
    }
  }

  /** Fails when a call fails. */
  async #failed(): Promise<void> {
    await Promise.all(this.#loops);
    throw new Error("the calls have ended");
  }
}

/** Makes a server unable to answer, and able again. */
interface Fault {
  begin(node: NodeServer): Promise<void>;
  end(node: NodeServer): Promise<void>;
}

const FAULTS: Record<string, Fault> = {
  killed: { begin: (node) => node.kill(), end: (node) => node.restart() },
  frozen: { begin: (node) => node.signal("SIGSTOP"), end: (node) => node.signal("SIGCONT") },
};

/** The longest calls of a test. */
interface Row {
  fault: string;
  calls: number;
  "longest call around the fault": string;
  "longest call afterwards": string;
  "longest pause of the machine": string;
}

const rows: Row[] = [];

/**
 * Puts two servers through a fault, one after the other. Each call has an id in time, of the other server, while the
 * fault lasts and afterwards; and the first serves again when the second has failed.
 */
async function failOver(
  what: string,
  [first, second]: readonly [NodeServer, NodeServer],
  hosts: readonly [string, string],
  { begin, end }: Fault,
): Promise<void> {
  const servers = [first, second].map(({ port }, i) => ({ hostname: hosts[i], port }));
  using client = new IdClient({ servers, ...PATIENT });
  const callers = new Callers(client);
  /** When the faults began until there were ids again, and the time from then on to the next one. */
  const around: Span[] = [];
  const afterwards: Span[] = [];
  const pauses: Span[] = [];
  await callers.ids.more(IDS);
  for (const [failing, other] of [[0, 1], [1, 0]]) {
    const nodes = [first, second];
    await using control = new ControlClient(servers[other]);
    const beginMs = performance.now();
    await begin(nodes[failing]);
    await callers.more(IDS, nodes[other].nodeId);
    const overMs = performance.now();
    await callers.seconds(3); // the client probes the silent one once a second
    await end(nodes[failing]);
    await untilAnswers(nodes[failing], servers[failing]);
    await callers.seconds(3);
    around.push({ beginMs, endMs: overMs });
    afterwards.push({ beginMs: overMs, endMs: performance.now() });
    pauses.push(...control.pauses);
  }
  await callers.stop();

  const callsOf = (spans: Span[]) =>
    callers.calls.filter((call) => spans.some((span) => call.endMs >= span.beginMs && call.beginMs < span.endMs));
  rows.push({
    fault: what,
    calls: callers.calls.length,
    "longest call around the fault": `${longest(callsOf(around)).toFixed()} ms`,
    "longest call afterwards": `${longest(callsOf(afterwards)).toFixed()} ms`,
    "longest pause of the machine": `${longest(pauses).toFixed()} ms`,
  });
  const own = callsOf([...around, ...afterwards]).map((call) => ownMs(call, pauses));
  assertLess(own.reduce((most, ms) => Math.max(most, ms), 0), LONGEST_CALL_MS, JSON.stringify(rows.at(-1)));
}

/** How long the longest of spans is, in ms. */
function longest(spans: readonly Span[]): number {
  return spans.reduce((most, { beginMs, endMs }) => Math.max(most, endMs - beginMs), 0);
}

/** Waits until a server answers again. */
async function untilAnswers(node: NodeServer, server: Endpoint): Promise<void> {
  using client = new IdClient({ ...server, retransmitMs: 20, timeoutMs: 30_000 });
  assertEquals(DEFAULT_LAYOUT.unpack(await client.nextId()).nodeId, node.nodeId);
}

const missing = await whyNoNamespaces();
if (missing !== undefined) console.log(`Left out: servers that are cut off, since ${missing}`);

describe("IdClient with two servers", () => {
  afterAll(() => console.table(rows));

  for (const [what, fault] of Object.entries(FAULTS)) {
    it(`has ids of the other within 100 ms when one is ${what}, and back`, async () => {
      await using first = await NodeServer.start(1);
      await using second = await NodeServer.start(2);
      await failOver(what, [first, second], ["127.0.0.1", "127.0.0.1"], fault);
    });
  }

  (missing === undefined ? it : it.skip)(
    "has ids of the other within 100 ms when one is cut off, and back",
    async () => {
      await using network = await NetworkNamespaces.make(["a", "b"]);
      const start = (nodeId: number, name: string) =>
        NodeServer.start(nodeId, { host: network.addressOf(name), runner: network.runnerOf(name) });
      await using first = await start(1, "a");
      await using second = await start(2, "b");
      const names = new Map([[first, "a"], [second, "b"]]);
      const nameOf = (node: NodeServer) => names.get(node) ?? "";
      await failOver("cut off", [first, second], [network.addressOf("a"), network.addressOf("b")], {
        begin: (node) => network.cutOff(nameOf(node)),
        end: (node) => network.connect(nameOf(node)),
      });
    },
  );
});
