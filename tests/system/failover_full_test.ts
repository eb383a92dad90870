import { assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { IdClient } from "../../client.ts";
import { DEFAULT_LAYOUT } from "../../mod.ts";
import { ReceivedIds } from "./load.ts";
import { NetworkNamespaces, whyNoNamespaces } from "./network_namespaces.ts";
import { NodeServer } from "./node_server.ts";

/** A client that retransmits nothing within a test: a call that another server does not save never ends. */
const PATIENT = { retransmitMs: 60_000, timeoutMs: 120_000 };

/** Calls under way at once. */
const CALLERS = 8;

/** How many ids are taken before and after a fault. */
const IDS = 2000;

/** Takes ids with several calls at once until stopped, and keeps them all. */
class Callers implements AsyncDisposable {
  readonly ids = new ReceivedIds();
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

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isOver = true;
    await Promise.all(this.#loops);
    this.ids.assertUnique();
  }

  async #loop(): Promise<void> {
    while (!this.#isOver) this.ids.add(await this.#client.nextId());
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

/**
 * Puts two servers through a fault, one after the other. No call waits for a retransmission, which would be a minute;
 * each has ids of the other server at once; and the first serves again when the second has failed.
 */
async function failOver(
  first: NodeServer,
  second: NodeServer,
  servers: string[],
  { begin, end }: Fault,
): Promise<void> {
  using client = new IdClient({ servers, ...PATIENT });
  await using callers = new Callers(client);
  await callers.ids.more(IDS);
  for (const [failing, other] of [[first, second], [second, first]]) {
    await begin(failing);
    await callers.more(IDS, other.nodeId);
    await end(failing);
    await untilAnswers(failing, servers[failing === first ? 0 : 1]);
    await callers.seconds(3); // the client probes the silent one once a second
  }
}

/** Waits until a server answers again. */
async function untilAnswers(node: NodeServer, server: string): Promise<void> {
  using client = new IdClient({ servers: [server], retransmitMs: 20, timeoutMs: 30_000 });
  assertEquals(DEFAULT_LAYOUT.unpack(await client.nextId()).nodeId, node.nodeId);
}

const missing = await whyNoNamespaces();
if (missing !== undefined) console.log(`Left out: servers that are cut off, since ${missing}`);

describe("IdClient with two servers", () => {
  for (const [what, fault] of Object.entries(FAULTS)) {
    it(`goes on to the other when one is ${what}, and back`, async () => {
      await using first = await NodeServer.start(1);
      await using second = await NodeServer.start(2);
      await failOver(first, second, [first, second].map(({ port }) => `127.0.0.1:${port}`), fault);
    });
  }

  (missing === undefined ? it : it.skip)("goes on to the other when one is cut off, and back", async () => {
    await using network = await NetworkNamespaces.make(["a", "b"]);
    const start = (nodeId: number, name: string) =>
      NodeServer.start(nodeId, { host: network.addressOf(name), runner: network.runnerOf(name) });
    await using first = await start(1, "a");
    await using second = await start(2, "b");
    const names = new Map([[first, "a"], [second, "b"]]);
    const nameOf = (node: NodeServer) => names.get(node) ?? "";
    await failOver(first, second, [first, second].map((node) => `${network.addressOf(nameOf(node))}:${node.port}`), {
      begin: (node) => network.cutOff(nameOf(node)),
      end: (node) => network.connect(nameOf(node)),
    });
  });
});
