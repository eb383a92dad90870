import { assert, assertEquals, assertGreater, assertNotMatch } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { uniformInt } from "pure-rand/distribution/uniformInt";
import { xoroshiro128plus } from "pure-rand/generator/xoroshiro128plus";
import type { RandomGenerator } from "pure-rand/types/RandomGenerator";
import { IdClient } from "../../client.ts";
import { until } from "../../testing/within.ts";
import { TempDir } from "../../testing/temp_dir.ts";
import { isFull, SEED } from "../settings.ts";
import { RecordedLoad } from "./recorded_load.ts";
import { killIfAlive, ServerProcess } from "../../testing/server_process.ts";

/** How often a server is ended, at each of the moments by turns. */
const ROUNDS = isFull ? 200 : 60;

/** When a server is ended. */
const MOMENTS = ["while it starts", "while it serves", "while a worker is started again"] as const;

const FLAGS = ["--workers", "2"];

/** Few enough requests that the processes of the server have the CPUs to start on. */
const LOAD = { socketsEach: 4, patienceMs: 20, pauseMs: 1 };

/** A server, the load on it, and the workers of servers before that had not ended when it was started. */
interface Round {
  readonly server: ServerProcess;
  readonly earlier: readonly number[];
  readonly load: RecordedLoad;
  readonly random: RandomGenerator;
}

/** The process ids of a server's own workers. */
async function workersOf({ server, earlier }: Round): Promise<number[]> {
  return (await server.workerPids()).filter((pid) => !earlier.includes(pid));
}

/** Kills the supervisor and some of its workers, in any order. The others go on for a moment. */
async function killSome(round: Round): Promise<void> {
  const { server, random } = round;
  const victims = (await workersOf(round)).filter(() => uniformInt(random, 0, 1) === 0);
  victims.splice(uniformInt(random, 0, victims.length), 0, server.pid);
  for (const victim of victims) killIfAlive(victim);
}

/** Waits until it is time to end a server. */
async function awaitMoment(moment: typeof MOMENTS[number], round: Round): Promise<void> {
  const { server, load, random } = round;
  if (moment === "while it starts") {
    await until("there is a worker", async () => (await workersOf(round)).length > 0 || !server.isRunning);
    return;
  }
  await server.says(/try it/);
  await load.more(uniformInt(random, 1, 100));
  if (moment === "while it serves") return;
  const [victim] = await workersOf(round);
  killIfAlive(victim);
  await server.says(new RegExp(`process ${victim}\\) died: SIGKILL; starting it again`));
  await new Promise((resolve) => setTimeout(resolve, uniformInt(random, 0, 150)));
}

/** Starts a server again and again, as soon as the one before has ended, while it is asked for ids. */
async function restart(rounds: number, seed: number): Promise<void> {
  const random = xoroshiro128plus(seed);
  await using state = await TempDir.make();
  let server = await ServerProcess.start({ flags: FLAGS, state });
  await using end = new AsyncDisposableStack();
  end.defer(async () => void await server.stop());
  const [port] = server.ports;
  using client = new IdClient({ port });
  await client.nextId(); // the first ids are there with the next tick
  await using load = await RecordedLoad.ask(port, LOAD);
  let earlier: number[] = [];
  for (let round = 0; round < rounds; round++) {
    await awaitMoment(MOMENTS[round % MOMENTS.length], { server, earlier, load, random });
    assert(server.isRunning, `round ${round}: the server ended by itself: ${server.printed}`);
    if (round % 2 === 0) server.kill("SIGTERM");
    else await killSome({ server, earlier, load, random });
    const { signal } = await server.ended();
    assertEquals(signal, round % 2 === 0 ? null : "SIGKILL");
    // Each goes on where the one before ended, and not where its reservation ends.
    if (round > 0) assertNotMatch(server.printed, /where .* reservation ends/);
    earlier = await server.workerPids();
    server = await ServerProcess.spawn({ flags: FLAGS, state, port });
  }
  await server.says(/try it/);
  await load.more(1000);
  const records = await load.stop();
  assertEquals(records.outOfOrder, 0, "requests that got an id not above all that had been received before");
  assertEquals(records.repeated, 0, "requests that got ids of others");
  assertGreater(records.successes, rounds * 20);
}

describe("servers that are started again", () => {
  it(
    `${ROUNDS} times under load, after SIGTERM or kill -9 of some processes: every later id is higher (seeds ${SEED}, ${
      SEED + 1
    })`,
    async () => {
      // Two servers at once, since while one ends or begins there is mostly nothing to do but to wait.
      await Promise.all([restart(ROUNDS / 2, SEED), restart(ROUNDS / 2, SEED + 1)]);
    },
  );
});
