import { assert, assertEquals, assertGreaterOrEqual } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { ConnectedSocket } from "../../lib/udp/connected_socket.ts";
import { writeBasicRequest } from "../../lib/wire/request.ts";
import { readBasicResponse } from "../../lib/wire/response.ts";
import { RecordedLoad } from "./recorded_load.ts";
import { ServerProcess } from "../../testing/server_process.ts";
import { ThreadCpu } from "./thread_cpu.ts";
import { twoCpus } from "./two_cpus.ts";

/** How many requests are sent by turns. */
const TURNS = 20_000;

/** How many requests at full load. */
const REQUESTS = 1_000_000;

/** So many ids a tick that a tick has some left whenever it is asked. */
const FLAGS = ["--workers", "2", "--layout", "dense"];

/** Asks once, and waits for the id: for up to 30 s, where others use the CPUs too. */
function ask(socket: ConnectedSocket): bigint {
  let id: bigint | undefined;
  let count = 0;
  socket.add(writeBasicRequest(socket.slot));
  socket.send();
  for (let second = 0; count === 0 && second < 30; second++) {
    count = socket.receive((response, length) => id = readBasicResponse(response, length));
  }
  assertEquals(count, 1, "an answer");
  assert(id !== undefined, "an id");
  return id;
}

/**
 * Asks from two CPUs by turns, each time after the answer to the time before, and returns how many ids were not above
 * the one before.
 */
async function takeTurns(sockets: [ConnectedSocket, ConnectedSocket]): Promise<number> {
  const cpus = await twoCpus();
  using thread = new ThreadCpu();
  let last = -1n;
  let lower = 0;
  for (let turn = 0; turn < TURNS / 2; turn++) {
    for (const [i, cpu] of cpus.entries()) {
      thread.moveTo(cpu);
      const id = ask(sockets[i]);
      if (id <= last) lower++;
      last = id;
    }
  }
  return lower;
}

describe("the ids of two workers are in order", () => {
  it(`for two clients on two CPUs who take turns, ${TURNS} times`, async () => {
    await using server = await ServerProcess.start({ flags: FLAGS });
    const open = () => new ConnectedSocket("127.0.0.1", server.ports[0], 900);
    const [one, another] = [open(), open()];
    assertEquals(await takeTurns([one, another]), 0, "ids that are not above the one before");
    one.close();
    another.close();
  });

  it(`for one client that moves between two CPUs, ${TURNS} times`, async () => {
    await using server = await ServerProcess.start({ flags: FLAGS });
    const socket = new ConnectedSocket("127.0.0.1", server.ports[0], 900);
    assertEquals(await takeTurns([socket, socket]), 0, "ids that are not above the one before");
    socket.close();
  });

  it(`for ${REQUESTS} requests of several clients on two CPUs at full load, in batches by chance (seed 1)`, async () => {
    await using server = await ServerProcess.start({ flags: FLAGS });
    await using load = await RecordedLoad.flood(server.ports[0], {
      socketsEach: 3,
      requestsEach: REQUESTS / 2,
      seed: 1,
    });
    const records = await load.finish();
    assertGreaterOrEqual(records.count, REQUESTS);
    assertEquals(records.outOfOrder, 0, "requests that got an id not above all that had been received before");
    assertEquals(records.refused, 0, "requests refused");
    assertEquals(records.short, 0, "requests that got fewer ids than they asked for");
    assertEquals(records.repeated, 0, "requests that got ids of others");
  });
});
