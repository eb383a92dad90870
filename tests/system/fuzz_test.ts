import { assert, assertEquals, assertLess } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { IdClient } from "../../client.ts";
import { isFull, SEED } from "../settings.ts";
import { denoCommand } from "../../testing/deno_process.ts";
import { until, within } from "../../testing/within.ts";
import { Load, ReceivedIds } from "./load.ts";
import { ServerProcess } from "../../testing/server_process.ts";
import { twoCpus } from "./two_cpus.ts";

/**
 * Two processes that put datagrams of all kinds to a server, each to a worker of its own, and make sure of every
 * answer.
 */
class Fuzzing {
  readonly #children: Deno.ChildProcess[];
  /** How many datagrams each has sent so far. */
  readonly #sent: number[];
  /** What they complain about, once they have ended. */
  readonly #complaints: Promise<string>[];
  /** The first complaint of all. */
  #complaint = "";

  private constructor(ports: number[], cpus: number[]) {
    this.#children = cpus.map((cpu, i) =>
      denoCommand({
        deno: ["run", "--quiet", "--allow-net=127.0.0.1", "--allow-ffi"],
        program: new URL("./fuzz_process.ts", import.meta.url).href,
        args: [ports[i % ports.length], SEED + i],
        cpu,
        stdin: "piped",
        stdout: "piped",
        stderr: "piped",
      }).spawn()
    );
    this.#sent = this.#children.map(() => 0);
    this.#complaints = this.#children.map((child, i) => this.#follow(child, i));
  }

  /** Starts one on each of the first two CPUs that this process may use, where the workers are. */
  static async start(ports: number[]): Promise<Fuzzing> {
    return new Fuzzing(ports, await twoCpus());
  }

  /** Waits until each has sent so many more datagrams. */
  async more(count: number): Promise<void> {
    const wanted = this.#sent.map((sent) => sent + count);
    await until(`${count} more datagrams from each`, () => {
      assertEquals(this.#complaint, "");
      return this.#sent.every((sent, i) => sent >= wanted[i]);
    });
  }

  /** Ends both, and makes sure that they had nothing to complain about. */
  async stop(): Promise<void> {
    await Promise.allSettled(this.#children.map((child) => child.stdin.close()));
    const complaints = await within("both have ended", Promise.all(this.#complaints));
    assertEquals(complaints, this.#children.map(() => ""));
  }

  async #follow(child: Deno.ChildProcess, i: number): Promise<string> {
    const stderr = new Response(child.stderr).text();
    let text = "";
    for await (const chunk of child.stdout.pipeThrough(new TextDecoderStream())) {
      text += chunk;
      this.#sent[i] = Number(text.split("\n").at(-2) ?? 0);
    }
    const { code } = await child.status;
    const complaint = code === 0 ? "" : `exit code ${code}: ${(await stderr).trim()}`;
    this.#complaint ||= complaint;
    return complaint;
  }
}

/** A client that asks for one id after the other, until it is told to stop. */
class GoodClient {
  /** How many it has. */
  count = 0;
  #isStopped = false;
  readonly #asked: Promise<void>;

  private readonly client: IdClient;

  constructor(client: IdClient, ids: ReceivedIds) {
    this.client = client;
    this.#asked = this.#ask(ids);
    this.#asked.catch(() => {}); // It may fail before anybody waits for it.
  }

  /** Waits until it has so many more. */
  async more(count: number): Promise<void> {
    const wanted = this.count + count;
    await Promise.race([until(`${count} more ids for a client`, () => this.count >= wanted), this.#asked]);
  }

  /** Fails if there ever was no id before the client's deadline. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#asked;
  }

  async #ask(ids: ReceivedIds): Promise<void> {
    for (; !this.#isStopped; this.count++) ids.add(await this.client.nextId());
  }
}

/** How much memory processes have, all together, in KiB. */
async function residentKib(pids: number[]): Promise<number> {
  const { stdout } = await new Deno.Command("ps", { args: ["-o", "rss=", "-p", pids.join(",")] }).output();
  const numbers = new TextDecoder().decode(stdout).trim().split(/\s+/).map(Number);
  assertEquals(numbers.length, pids.length);
  return numbers.reduce((a, b) => a + b);
}

// A layout with ticks of 1 ms: a request for 2^32 - 1 ids takes all that a tick has, and good clients wait no longer
// than that.
const FLAGS = ["--workers", "2", "--layout", "twitter"];

/** Much longer than a server is ever without ids that it has reserved. */
const DEADLINE_MS = 30_000;

const BACKENDS = [
  // A worker of reuseport makes no garbage. One of listen-datagram does, which V8 collects late: its growth ends.
  // A worker that keeps something of each datagram grows in every round.
  { backend: "reuseport", datagramsEach: isFull ? 300_000 : 100_000, maxRounds: 1 },
  { backend: "listen-datagram", datagramsEach: isFull ? 120_000 : 40_000, maxRounds: 10 },
];

/** How much the workers may grow in a round, on average, in KiB: 100 bytes for each of 40,000 datagrams, or fewer. */
const MAX_GROWTH_KIB = 4096;

describe("a server that anybody sends anything to", () => {
  for (const { backend, datagramsEach, maxRounds } of BACKENDS) {
    it(`${backend}: answers right, keeps nothing, and good clients get their ids (seeds ${SEED}, ${SEED + 1})`, async () => {
      await using server = await ServerProcess.start({ flags: [...FLAGS, "--backend", backend] });
      const workers = await server.workerPids();
      assertEquals(workers.length, 2);
      const ids = new ReceivedIds();
      await using load = await Load.start({ ids, ports: server.ports, socketsEach: 1 });
      using client = new IdClient({ port: server.ports, timeoutMs: DEADLINE_MS });
      const good = new GoodClient(client, ids);
      await ids.more(1000);
      const fuzzing = await Fuzzing.start(server.ports);

      // The first half has the workers' memory grow to what they need.
      await Promise.all([fuzzing.more(datagramsEach / 2), ids.more(5000), good.more(100)]);
      const beforeKib = await residentKib(workers);
      let growthKib = Infinity;
      for (let round = 1; round <= maxRounds && growthKib >= MAX_GROWTH_KIB; round++) {
        await Promise.all([fuzzing.more(datagramsEach / 2), ids.more(5000), good.more(100)]);
        growthKib = (await residentKib(workers) - beforeKib) / round;
      }
      assertLess(growthKib, MAX_GROWTH_KIB, "KiB that the workers have grown by in each round");

      await fuzzing.stop();
      await Promise.all([ids.more(1000), good.more(10)]);
      await load.stop();
      await good.stop();
      ids.assertUnique();
      using another = new IdClient({ port: server.ports, timeoutMs: DEADLINE_MS });
      assertEquals((await another.nextIds(100)).length, 100);
      assertEquals(await server.workerPids(), workers);
      assert(!server.printed.includes("died"), server.printed);
    });
  }
});
